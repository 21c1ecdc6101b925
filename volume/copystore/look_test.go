package copystore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestWhatIsThereNowCounts: what somebody does to the directories of copies is seen without a new
// start.
func TestWhatIsThereNowCounts(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := add(t, r)
	find := func(want error) {
		t.Helper()
		if _, err := r.Find(c.ID); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	away := filepath.Join(r.path, "away")
	must(t, os.Rename(c.Dir, away))
	find(cluster.ErrNotFound)
	if all := r.All(); len(all) != 0 {
		t.Errorf("a copy that was taken away is listed: %v", all)
	}
	must(t, os.Rename(away, c.Dir))
	find(nil)
	good, err := os.ReadFile(filepath.Join(c.Dir, recordName))
	must(t, err)
	overwrite(t, c, "")
	find(ErrBroken)
	overwrite(t, c, string(good))
	find(nil)
	must(t, os.Remove(filepath.Join(c.Dir, recordName)))
	find(ErrBroken)
	must(t, os.RemoveAll(c.Dir))
	if _, err := r.Add(c.ID, Record{Role: cluster.Replica}, makeData); err != nil {
		t.Errorf("removed by hand, and still in the way: %v", err)
	}
}

// TestABrokenCopyGivesWay to a full stream and is kept; a primary never does.
func TestABrokenCopyGivesWay(t *testing.T) {
	for name, test := range map[string]struct {
		role  cluster.Role
		spoil func(c *Copy) error
		want  error
	}{
		"no record":              {cluster.Replica, func(c *Copy) error { return os.Remove(filepath.Join(c.Dir, recordName)) }, nil},
		"a record cut short":     {cluster.Primary, func(c *Copy) error { return os.Truncate(filepath.Join(c.Dir, recordName), 20) }, nil},
		"no data":                {cluster.Replica, func(c *Copy) error { return os.RemoveAll(c.Data()) }, nil},
		"a replica that is well": {cluster.Replica, func(c *Copy) error { return nil }, cluster.ErrExists},
		"a primary without data": {cluster.Primary, func(c *Copy) error { return os.RemoveAll(c.Data()) }, cluster.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), Options{})
			c, err := r.Add(cluster.VolumeID(cluster.NewUUID()), Record{Role: test.role, Epoch: 3}, makeData)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(c.Dir, "evidence"), nil, 0o600))
			must(t, test.spoil(c))
			err = r.GiveWay(c.ID)
			if err == nil {
				_, err = r.Add(c.ID, Record{Role: cluster.Replica}, makeData)
			}
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			kept, err := filepath.Glob(filepath.Join(r.trash(), string(c.ID)+"."+broken+"@*", "evidence"))
			if err != nil || (len(kept) == 1) != (test.want == nil) {
				t.Errorf("kept: %v, %v", kept, err)
			}
		})
	}
}

// TestAFormerOwnersBrokenCopyIsSetAside, so that it is not in the way of a move back.
func TestAFormerOwnersBrokenCopyIsSetAside(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := add(t, r)
	must(t, os.RemoveAll(c.Data()))
	var diverged *volume.Diverged
	if err := r.Abandon(c.ID, 0); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("an old epoch: got %v, want ErrStale", err)
	}
	if err := r.Abandon(c.ID, 2); !errors.As(err, &diverged) {
		t.Errorf("got %v, want a *volume.Diverged", err)
	}
	if _, err := r.Find(c.ID); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func makeData(c *Copy) error { return os.Mkdir(c.Data(), 0o711) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
