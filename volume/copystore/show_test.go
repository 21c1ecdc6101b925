package copystore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
)

// TestADirectoryUnderTheMountRootGivesWay: a container engine has made a directory where a volume shall appear.
func TestADirectoryUnderTheMountRootGivesWay(t *testing.T) {
	mounts := t.TempDir()
	r, err := Open(t.TempDir(), Options{MountRoot: mounts}, Kind{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Shut()
	id := cluster.VolumeID(cluster.NewUUID())
	c, err := r.Add(id, Record{Role: cluster.Primary, Epoch: 1}, func(c *Copy) error { return os.Mkdir(c.Data(), 0o700) })
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.Mkdir(filepath.Join(mounts, string(id)), 0o755))
	if err := c.Opened(1); err != nil {
		t.Errorf("an empty directory keeps it from being opened: %v", err)
	}
	must(t, os.Remove(filepath.Join(mounts, string(id))))
	must(t, os.Mkdir(filepath.Join(mounts, string(id)), 0o755))
	must(t, os.WriteFile(filepath.Join(mounts, string(id), "log"), nil, 0o644)) // a container wrote there
	if err := c.Opened(1); err != nil {
		t.Errorf("open: %v", err)
	}
	if kept, _ := filepath.Glob(filepath.Join(mounts, string(id)+".foreign.*", "log")); len(kept) != 1 {
		t.Errorf("what the container wrote is kept as %v", kept)
	}
	must(t, r.Close(id))
	if err := r.Remove(id); err != nil {
		t.Errorf("remove: %v", err)
	}
}

// TestConsentIsForOneLoss: an operator's word on a copy with which nothing is wrong does not count for the
// next thing that is.
func TestConsentIsForOneLoss(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := add(t, r)
	must(t, os.WriteFile(filepath.Join(c.Data(), "file"), nil, 0o600))
	must(t, c.Opened(1))
	must(t, os.WriteFile(c.acceptPath(), nil, 0o600))
	if _, err := r.Find(c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(c.acceptPath()); err == nil {
		t.Fatal("it stays")
	}
}
