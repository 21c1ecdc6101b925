package btrfs

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
)

// property makes a snapshot writable, or read-only again, as an operator does.
func property(t *testing.T, path, readOnly string) {
	t.Helper()
	if out, err := exec.Command("btrfs", "property", "set", "-f", path, "ro", readOnly).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// hands are what somebody may do to a snapshot.
var hands = []struct {
	rule string
	do   func(t *testing.T, path string)
	kept bool // there is something to keep
}{
	{"written to", func(t *testing.T, path string) {
		property(t, path, "false")
		must(t, os.WriteFile(filepath.Join(path, "file"), []byte("changed"), 0o600))
	}, true},
	{"written to and read-only again", func(t *testing.T, path string) {
		property(t, path, "false")
		must(t, os.WriteFile(filepath.Join(path, "file"), []byte("changed"), 0o600))
		property(t, path, "true")
	}, true},
	{"deleted", func(t *testing.T, path string) { must(t, deleteSubvolume(path)) }, false},
	{"replaced", func(t *testing.T, path string) {
		must(t, deleteSubvolume(path))
		must(t, createSubvolume(path))
		property(t, path, "true")
	}, true},
	{"an empty directory", func(t *testing.T, path string) {
		must(t, deleteSubvolume(path))
		must(t, os.Mkdir(path, 0o700))
	}, true},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestASnapshotThatWasChangedIsNone: it is not shown, nothing is built on it, it is not opened, and the
// next transfer is full; before a restart of the agent and after it.
func TestASnapshotThatWasChangedIsNone(t *testing.T) {
	fs := fileSystem(t, 2<<30)
	for _, hand := range hands {
		for _, restart := range []bool{false, true} {
			rule := hand.rule
			if restart {
				rule += ", and a restart"
			}
			t.Run(rule, func(t *testing.T) {
				p := newPair(t, fs)
				p.write(p.a, "file", []byte("one"))
				p.must(p.a.Close(t.Context(), p.id))
				p.ship(p.a, p.b, "", "s1")
				head := guid(t, p.b, p.id)
				c, err := p.b.find(p.id)
				p.must(err)
				hand.do(t, c.snapshotPath("s1"))
				if restart {
					p.must(p.b.Shut())
					p.b = openAt(t, p.b.path)
				}
				held, err := volume.Find(t.Context(), p.b, p.id)
				p.must(err)
				if len(held.Snapshots) != 0 || held.Head != "" || (held.Warning == "") != restart {
					t.Errorf("the copy is shown as %+v", held)
				}
				if _, err := p.b.Open(t.Context(), p.id, 2, head); !errors.Is(err, cluster.ErrConflict) {
					t.Errorf("open: got %v, want ErrConflict", err)
				}
				p.ship(p.a, p.b, "", "s2")
				if files, err := readFiles(t, p.b, p.id); err != nil || files["file"] != "one" {
					t.Errorf("then it holds %v, %v", files, err)
				}
				left, _ := filepath.Glob(filepath.Join(p.b.path, "*", "altered*"))
				aside, _ := filepath.Glob(filepath.Join(p.b.path, "trash", "*", "@s1"))
				if hand.kept && len(left)+len(aside) != 1 {
					t.Errorf("what somebody made is kept as %v %v", left, aside)
				}
			})
		}
	}
}

// TestNothingIsBuiltOnAChangedSnapshot, not even if the order was given before it was seen.
func TestNothingIsBuiltOnAChangedSnapshot(t *testing.T) {
	fs := fileSystem(t, 2<<30)
	for _, hand := range hands {
		for _, byFiles := range []bool{false, true} {
			t.Run(hand.rule, func(t *testing.T) {
				p := newPair(t, fs)
				p.write(p.a, "file", []byte("one"))
				p.must(p.a.Close(t.Context(), p.id))
				p.ship(p.a, p.b, "", "s1")
				d := volume.Delta{Volume: p.id, From: "s1", To: "s2", Files: byFiles}
				_, err := p.a.Snapshot(t.Context(), p.id, "s2", false)
				p.must(err)
				var stream bytes.Buffer
				p.must(p.a.Send(t.Context(), d, &stream))
				c, err := p.b.find(p.id)
				p.must(err)
				hand.do(t, c.snapshotPath("s1"))
				err = p.b.Receive(t.Context(), d, &stream)
				var diverged *volume.Diverged
				switch {
				case hand.rule == "deleted" && !errors.Is(err, cluster.ErrStale),
					hand.rule != "deleted" && !errors.As(err, &diverged):
					t.Errorf("got %v", err)
				}
				d.From = ""
				stream.Reset()
				p.must(p.a.Send(t.Context(), d, &stream))
				p.must(p.b.Receive(t.Context(), d, &stream))
			})
		}
	}
}

// TestTheSenderBuildsOnNothingChanged either.
func TestTheSenderBuildsOnNothingChanged(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	for _, hand := range hands {
		t.Run(hand.rule, func(t *testing.T) {
			p := newPair(t, fs)
			p.ship(p.a, p.b, "", "s1")
			p.ship(p.a, p.b, "s1", "s2")
			c, err := p.a.find(p.id)
			p.must(err)
			hand.do(t, c.snapshotPath("s1"))
			for _, byFiles := range []bool{false, true} {
				d := volume.Delta{Volume: p.id, From: "s1", To: "s2", Files: byFiles}
				if err := p.a.Send(t.Context(), d, discard{}); !errors.Is(err, cluster.ErrStale) {
					t.Errorf("from it: got %v, want ErrStale", err)
				}
				d = volume.Delta{Volume: p.id, To: "s1", Files: byFiles}
				if err := p.a.Send(t.Context(), d, discard{}); err == nil {
					t.Error("it was shipped")
				}
			}
			p.must(p.a.Close(t.Context(), p.id))
			p.must(p.a.Send(t.Context(), volume.Delta{Volume: p.id, To: "s2"}, discard{}))
		})
	}
}

// TestUseIsNoChange: what this package itself does with a snapshot leaves it what it is known by.
func TestUseIsNoChange(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	p.write(p.a, "file", []byte("one"))
	p.ship(p.a, p.b, "", "s1")
	p.must(p.a.Clone(t.Context(), cluster.VolumeID(cluster.NewUUID()), volume.Options{}, p.id, "s1"))
	p.must(p.b.Clone(t.Context(), cluster.VolumeID(cluster.NewUUID()), volume.Options{}, p.id, "s1"))
	p.ship(p.a, p.b, "s1", "s2")
	p.must(p.a.Close(t.Context(), p.id))
	p.must(p.a.Rollback(t.Context(), p.id, "s2", "wish"))
	p.must(p.a.Send(t.Context(), volume.Delta{Volume: p.id, From: "s1", To: "s2", Files: true}, discard{}))
	_, err := p.b.Open(t.Context(), p.id, 2, guid(t, p.b, p.id))
	p.must(err)
	p.write(p.b, "file", []byte("two"))
	p.must(syncFileSystem(p.b.path))
	for _, b := range []*Backend{p.a, p.b} {
		p.must(b.Shut())
		held, err := volume.Find(t.Context(), openAt(t, b.path), p.id)
		if err != nil || len(held.Snapshots) != 2 || held.Warning != "" {
			t.Errorf("the copy is %+v, %v", held, err)
		}
	}
}

// TestACopyOfAnEarlierVersion has nothing on its record that its snapshots are known by, and is as good
// as any.
func TestACopyOfAnEarlierVersion(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	p.write(p.a, "file", []byte("one"))
	p.ship(p.a, p.b, "", "s1")
	c, err := p.b.find(p.id)
	p.must(err)
	p.must(c.Update(func(r *copystore.Record) { r.Marks = nil }))
	p.must(p.b.Shut())
	p.b = openAt(t, p.b.path)
	p.ship(p.a, p.b, "s1", "s2")
	_, err = p.b.Open(t.Context(), p.id, 2, guid(t, p.b, p.id))
	p.must(err)
}

// TestDataThatIsGoneIsNotOpened, and whoever demotes the copy gets it out of the way.
func TestDataThatIsGoneIsNotOpened(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	for _, there := range []bool{false, true} {
		p := newPair(t, fs)
		p.must(p.a.Close(t.Context(), p.id))
		_, err := p.a.Snapshot(t.Context(), p.id, "s1", false)
		p.must(err)
		p.must(deleteSubvolume(p.a.Path(p.id)))
		if there {
			p.must(os.Mkdir(p.a.Path(p.id), 0o700))
		}
		p.must(p.a.Shut())
		p.a = openAt(t, p.a.path)
		if held, err := volume.Find(t.Context(), p.a, p.id); err != nil || held.Warning == "" {
			t.Errorf("the copy is shown as %+v, %v", held, err)
		}
		if _, err := p.a.Open(t.Context(), p.id, 1, ""); !errors.Is(err, cluster.ErrConflict) {
			t.Errorf("got %v, want ErrConflict", err)
		}
		var diverged *volume.Diverged
		if err := p.a.Demote(t.Context(), p.id, 2); !errors.As(err, &diverged) {
			t.Errorf("got %v, want a *volume.Diverged", err)
		}
	}
}
