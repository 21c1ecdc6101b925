package copystore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// TestWhoWaitedGetsNoOtherCopy: whoever waited for a copy does not get another one that has taken its place meanwhile.
func TestWhoWaitedGetsNoOtherCopy(t *testing.T) {
	for name, act := range map[string]func(r *Root, c *Copy) error{
		"remove": func(r *Root, c *Copy) error { return r.Remove(c.ID) },
		"update": func(_ *Root, c *Copy) error {
			time.Sleep(400 * time.Millisecond) // until the other one is there
			return c.Update(func(r *Record) { r.Limit = 1 })
		},
		"demote": func(r *Root, c *Copy) error {
			if err := c.Lock(); err != nil {
				return err
			}
			defer c.Op.Unlock()
			return c.Demote(7)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := Open(t.TempDir(), Options{}, Kind{})
			if err != nil {
				t.Fatal(err)
			}
			defer root.Shut()
			id := cluster.VolumeID(cluster.NewUUID())
			prepare := func(c *Copy) error { return os.Mkdir(c.Data(), 0o700) }
			old, err := root.Add(id, Record{Role: cluster.Replica, Head: "old"}, prepare)
			if err != nil {
				t.Fatal(err)
			}
			old.Op.Lock() // a full stream has come
			done := make(chan error)
			go func() { done <- act(root, old) }()
			time.Sleep(200 * time.Millisecond) // it waits
			if _, err := old.SetAside("replaced"); err != nil {
				t.Fatal(err)
			}
			next, err := root.Add(id, Record{Role: cluster.Primary, Epoch: 9, Open: true}, prepare)
			if err != nil {
				t.Fatal(err)
			}
			old.Op.Unlock()
			if err := <-done; name != "remove" && !errors.Is(err, cluster.ErrConflict) {
				t.Errorf("got %v, want ErrConflict", err)
			}
			b, err := os.ReadFile(filepath.Join(next.Dir, "copy.json"))
			if err != nil {
				t.Errorf("the new copy, which is open, is gone: %v", err)
			} else if r, err := parseRecord(b); err != nil || r.Epoch != 9 || r.Role != cluster.Primary {
				t.Errorf("the record of the new copy says %+v %v", r, err)
			}
		})
	}
}
