package dir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
)

// TestABrokenReplicaGivesWay: a full stream comes through whatever has become of the copy, with the
// same backend running all the time, and what was there is kept.
func TestABrokenReplicaGivesWay(t *testing.T) {
	for name, spoil := range map[string]func(home string) error{
		"no record":          func(home string) error { return os.Remove(filepath.Join(home, "copy.json")) },
		"a record cut short": func(home string) error { return os.Truncate(filepath.Join(home, "copy.json"), 30) },
		"no data":            func(home string) error { return os.RemoveAll(filepath.Join(home, "data")) },
		"emptied":            func(home string) error { return os.Remove(filepath.Join(home, "data", "file")) },
		"removed by hand":    os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.must(os.WriteFile(filepath.Join(p.src, "file"), []byte("content"), 0o600))
			p.pass()
			home := filepath.Join(p.toRoot, string(p.id))
			p.must(spoil(home))
			if held, err := volume.Find(t.Context(), p.to, p.id); err == nil && (held.Warning == "" || len(held.Snapshots) != 0) {
				t.Errorf("a sender is told of %+v", held)
			}
			p.last = "" // which is what the sender does then
			p.pass()
			if b, err := os.ReadFile(filepath.Join(p.dst, "file")); err != nil || string(b) != "content" {
				t.Errorf("it holds %q, %v", b, err)
			}
			kept, _ := filepath.Glob(filepath.Join(p.toRoot, "trash", string(p.id)+".broken@*"))
			if want := name != "removed by hand"; (len(kept) == 1) != want {
				t.Errorf("kept: %v", kept)
			}
		})
	}
}

// TestAnOwnersDataThatIsGoneIsNoVolume: it is shown, and neither opened nor shipped nor made again.
func TestAnOwnersDataThatIsGoneIsNoVolume(t *testing.T) {
	root, id := t.TempDir(), cluster.VolumeID(cluster.NewUUID())
	b := open(t, root)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.Create(t.Context(), id, volume.Options{}))
	path, err := b.Open(t.Context(), id, 1, "")
	must(err)
	must(os.WriteFile(filepath.Join(path, "base"), nil, 0o600))
	must(b.Close(t.Context(), id))
	must(b.Shut())
	must(os.Remove(filepath.Join(path, "base")))
	b = open(t, root)
	if _, err := b.Open(t.Context(), id, 1, ""); !errors.Is(err, cluster.ErrConflict) || !errors.Is(err, copystore.ErrBroken) {
		t.Errorf("open: got %v", err)
	}
	if _, err := b.Snapshot(t.Context(), id, "final", false); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("snapshot: got %v", err)
	}
	if err := b.Create(t.Context(), id, volume.Options{}); !errors.Is(err, cluster.ErrExists) {
		t.Errorf("create: got %v", err)
	}
	if held, err := volume.Find(t.Context(), b, id); err != nil || held.Role != cluster.Primary || held.Obstacle == "" {
		t.Errorf("it is listed as %+v, %v", held, err)
	}
	var diverged *volume.Diverged
	if err := b.Demote(t.Context(), id, 2); !errors.As(err, &diverged) {
		t.Errorf("another node has it now: got %v, want a *volume.Diverged", err)
	}
}
