package btrfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// asNobody makes a subvolume as a user who has no rights but to write there.
func asNobody(t *testing.T, path string) {
	t.Helper()
	const script = `cd "$1" && exec setpriv --reuid 65534 --regid 65534 --clear-groups btrfs subvolume create "$2"`
	cmd := exec.Command("sh", "-c", script, "sh", filepath.Dir(path), filepath.Base(path))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
}

// nestedVolume is a volume in which anybody may write and somebody has made a subvolume.
func nestedVolume(t *testing.T, fs string) (p *pair, nested string) {
	t.Helper()
	p = newPair(t, fs)
	p.must(os.Mkdir(filepath.Join(p.a.Path(p.id), "it's"), 0o777))
	p.must(os.Chmod(filepath.Join(p.a.Path(p.id), "it's"), 0o777))
	p.must(os.Chmod(p.a.path, 0o711))
	nested = filepath.Join(p.a.Path(p.id), "it's", "sub")
	return p, nested
}

// TestASubvolumeInAVolumeIsRefusedByName before anything is made of the volume without it, and the way
// out that is told is one.
func TestASubvolumeInAVolumeIsRefusedByName(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	p, nested := nestedVolume(t, fs)
	p.write(p.a, "file", []byte("one"))
	_, err := p.a.Snapshot(t.Context(), p.id, "before", true)
	p.must(err)
	asNobody(t, nested)
	p.must(os.WriteFile(filepath.Join(nested, "file"), []byte("precious"), 0o600))
	clone := cluster.VolumeID(cluster.NewUUID())
	refused := map[string]func() error{
		"snapshot": func() error { _, err := p.a.Snapshot(t.Context(), p.id, "s1", false); return err },
		"clone":    func() error { return p.a.Clone(t.Context(), clone, volume.Options{}, p.id, "") },
		"send":     func() error { return p.a.Send(t.Context(), volume.Delta{Volume: p.id, To: "before"}, discard{}) },
		"files": func() error {
			return p.a.Send(t.Context(), volume.Delta{Volume: p.id, To: "before", Files: true}, discard{})
		},
		"rollback": func() error {
			p.must(p.a.Close(t.Context(), p.id))
			return p.a.Rollback(t.Context(), p.id, "before", "wish")
		},
	}
	for what, do := range refused {
		err := do()
		if !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), `"it's/sub"`) {
			t.Errorf("%s: got %v, want ErrUnsupported that names it", what, err)
		}
	}
	c, err := p.a.find(p.id)
	p.must(err)
	if _, err := os.Lstat(c.snapshotPath("s1")); !os.IsNotExist(err) {
		t.Errorf("the snapshot is there all the same: %v", err)
	}
	_, err = p.a.Snapshot(t.Context(), p.id, "s1", false)
	_, way, _ := strings.Cut(cluster.Hint(err), "in ")
	place, commands, _ := strings.Cut(way, ", ")
	shell := exec.Command("sh", "-ec", commands)
	shell.Dir = place
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("the way out %q in %q: %v: %s", commands, place, err, out)
	}
	p.must(p.a.Close(t.Context(), p.id))
	p.ship(p.a, p.b, "", "s1")
	held, err := p.b.find(p.id)
	p.must(err)
	if content, err := os.ReadFile(filepath.Join(held.snapshotPath("s1"), "it's", "sub", "file")); err != nil || string(content) != "precious" {
		t.Errorf("what arrived is %q, %v", content, err)
	}
}

// TestAMountInAVolumeIsRefusedByName, which is in no snapshot of it either.
func TestAMountInAVolumeIsRefusedByName(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	at := filepath.Join(p.a.Path(p.id), "in here")
	p.must(os.Mkdir(at, 0o700))
	p.must(unix.Mount("none", at, "tmpfs", 0, ""))
	defer unix.Unmount(at, unix.MNT_DETACH)
	_, err := p.a.Snapshot(t.Context(), p.id, "s1", false)
	if !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), `"in here"`) {
		t.Errorf("got %v, want ErrUnsupported that names it", err)
	}
	if out, err := exec.Command("sh", "-ec", strings.TrimPrefix(cluster.Hint(err), "unmount it: ")).CombinedOutput(); err != nil {
		t.Fatalf("the way out %q: %v: %s", cluster.Hint(err), err, out)
	}
	p.ship(p.a, p.b, "", "s1")
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// TestASubvolumeThatCameLaterIsKept: one that was made after the last round is what the others do not
// have, and a demotion ends.
func TestASubvolumeThatCameLaterIsKept(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	for _, row := range []struct {
		rule  string
		later bool
	}{{"before the role is written down", false}, {"after it", true}} {
		t.Run(row.rule, func(t *testing.T) {
			p, nested := nestedVolume(t, fs)
			p.must(p.a.Close(t.Context(), p.id))
			p.ship(p.a, p.b, "", "final")
			c, err := p.a.find(p.id)
			p.must(err)
			if row.later {
				p.must(c.Demote(2))
			}
			asNobody(t, nested)
			err = p.a.Demote(t.Context(), p.id, 2)
			var diverged *volume.Diverged
			if errors.As(err, &diverged) == row.later || (row.later && err != nil) {
				t.Fatalf("got %v", err)
			}
			where := filepath.Join(p.a.path, string(p.id))
			if !row.later {
				where = diverged.KeptAs
			}
			if found, _ := filepath.Glob(filepath.Join(where, "data*", "it's", "sub")); len(found) != 1 {
				t.Errorf("kept is %v in %s", found, where)
			}
		})
	}
}

// TestPurgeDeletesSubvolumesInSubvolumes: what somebody made inside of a volume ends with it.
func TestPurgeDeletesSubvolumesInSubvolumes(t *testing.T) {
	p, nested := nestedVolume(t, fileSystem(t, 1<<30))
	asNobody(t, nested)
	asNobody(t, filepath.Join(nested, "deeper"))
	p.must(p.a.Close(t.Context(), p.id))
	p.must(p.a.Remove(t.Context(), p.id))
	p.must(p.a.Purge(t.Context(), time.Now().Add(time.Hour)))
	if left, _ := filepath.Glob(filepath.Join(p.a.path, "trash", "*")); len(left) != 0 {
		t.Errorf("left is %v", left)
	}
}
