package copystore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

func open(t *testing.T, path string, o Options) *Root {
	t.Helper()
	r, err := Open(path, o, Kind{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Shut() })
	return r
}

func add(t *testing.T, r *Root) *Copy {
	t.Helper()
	c, err := r.Add(cluster.VolumeID(cluster.NewUUID()), Record{Role: cluster.Primary, Epoch: 1}, func(c *Copy) error { return os.Mkdir(c.Data(), 0o711) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOneProcessAtATime(t *testing.T) {
	path := t.TempDir()
	r := open(t, path, Options{})
	if _, err := Open(path, Options{}, Kind{}); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("a second one: got %v, want ErrConflict", err)
	}
	if err := r.Shut(); err != nil {
		t.Fatal(err)
	}
	open(t, path, Options{})
}

func TestTheTrashIsEmptiedByAge(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := add(t, r)
	if err := r.Remove(c.ID); err != nil {
		t.Fatal(err)
	}
	var purged []string
	purge := func(before time.Time) {
		t.Helper()
		purged = nil
		if err := r.Purge(before, func(dir string) error { purged = append(purged, dir); return os.RemoveAll(dir) }); err != nil {
			t.Fatal(err)
		}
	}
	if purge(time.Now().Add(-time.Hour)); len(purged) != 0 {
		t.Errorf("too early: %v", purged)
	}
	if purge(time.Now().Add(time.Hour)); len(purged) != 1 {
		t.Errorf("purged %v, want one", purged)
	}
}

// TestDemote: a copy with writes that nobody else has is kept under another name.
func TestDemote(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := add(t, r)
	if err := c.Opened(1); err != nil {
		t.Fatal(err)
	}
	if err := c.Demote(2); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("an open copy: got %v, want ErrConflict", err)
	}
	if err := r.Close(c.ID); err != nil {
		t.Fatal(err)
	}
	if err := c.Demote(0); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("an old epoch: got %v, want ErrStale", err)
	}
	var diverged *volume.Diverged
	if err := c.Demote(2); !errors.As(err, &diverged) {
		t.Fatalf("got %v, want a *volume.Diverged", err)
	}
	if _, err := os.Stat(filepath.Join(diverged.KeptAs, "data")); err != nil {
		t.Errorf("what was kept is gone: %v", err)
	}
}

// TestWhatIsUnfinishedIsNoCopy, whenever it ends; and what is in the place of a copy is kept.
func TestWhatIsUnfinishedIsNoCopy(t *testing.T) {
	path := t.TempDir()
	r := open(t, path, Options{})
	id, full := cluster.VolumeID(cluster.NewUUID()), errors.New("no space")
	home := filepath.Join(path, string(id))
	_, err := r.Add(id, Record{}, func(c *Copy) error {
		if _, err := os.Stat(home); !os.IsNotExist(err) {
			t.Errorf("a crash would leave something: %v", err)
		}
		return errors.Join(os.Mkdir(c.Data(), 0o711), full)
	})
	if !errors.Is(err, full) {
		t.Fatalf("got %v, want what failed", err)
	}
	if left, err := os.ReadDir(r.trash()); err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if err := os.MkdirAll(filepath.Join(home, dataName), 0o711); err != nil { // as a container engine does
		t.Fatal(err)
	}
	c, err := r.Add(id, Record{}, func(c *Copy) error { return os.Mkdir(c.Data(), 0o711) })
	if err != nil {
		t.Fatal(err)
	}
	if found, err := os.ReadDir(c.Data()); err != nil || len(found) != 0 || c.Dir != home {
		t.Errorf("the new copy at %s holds %v, %v", c.Dir, found, err)
	}
	if kept, err := filepath.Glob(filepath.Join(r.trash(), "*."+foreign+"@*", dataName)); err != nil || len(kept) != 1 {
		t.Errorf("what was in its place is gone: %v, %v", kept, err)
	}
}

// TestTheMountRoot has each volume under its id, wherever its data is.
func TestTheMountRoot(t *testing.T) {
	mounts := filepath.Join(t.TempDir(), "flocker")
	r := open(t, t.TempDir(), Options{MountRoot: mounts})
	c := add(t, r)
	for range 2 {
		if err := c.Opened(1); err != nil {
			t.Fatal(err)
		}
	}
	if to, err := os.Readlink(filepath.Join(mounts, string(c.ID))); err != nil || to != c.Data() || r.Path(c.ID) != filepath.Join(mounts, string(c.ID)) {
		t.Errorf("it leads to %q, %v", to, err)
	}
	if err := errors.Join(r.Close(c.ID), r.Remove(c.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(mounts, string(c.ID))); !os.IsNotExist(err) {
		t.Errorf("a removed volume is still shown: %v", err)
	}
}
