package copystore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// TestADirectoryInPlaceOfTheDataIsNoVolume: neither an owner's copy nor a replica is opened when
// its data is gone, empty or another directory; unless an operator accepts what is there.
func TestADirectoryInPlaceOfTheDataIsNoVolume(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(data string) error
		want  string
	}{
		"gone":    {os.RemoveAll, "there is no data, it held base, global"},
		"emptied": {empty, "data holds nothing, it held base, global"},
		"another": {func(data string) error {
			return errors.Join(os.Rename(data, data+".was"), os.Mkdir(data, 0o711), os.WriteFile(filepath.Join(data, "x"), nil, 0o600))
		}, "data is another directory than it was, it held base, global"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, was := range []string{"open when the agent went down", "closed", "closed under the agent", "a replica"} {
				t.Run(was, func(t *testing.T) {
					r := open(t, t.TempDir(), Options{})
					c := filled(t, r)
					if strings.HasPrefix(was, "closed") || was == "a replica" {
						must(t, r.Close(c.ID))
					}
					if was == "a replica" {
						must(t, c.Update(func(r *Record) { r.Add(cluster.Snapshot{Name: "s", GUID: "g"}) }))
						must(t, c.Demote(2))
					}
					if was != "closed under the agent" {
						must(t, r.Shut())
					}
					must(t, test.spoil(c.Data()))
					if was != "closed under the agent" {
						r = open(t, r.path, Options{})
					}
					_, err := r.Find(c.ID)
					if !errors.Is(err, cluster.ErrConflict) || !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), test.want) {
						t.Fatalf("got %v, want %q", err, test.want)
					}
					if s := r.All()[0].State(); !strings.Contains(s.Warning, test.want) || len(s.Snapshots) != 0 || s.Head != "" {
						t.Errorf("it is listed as %+v", s)
					}
					// The way out that the hint says.
					_, way, _ := strings.Cut(cluster.Hint(err), "touch ")
					must(t, os.MkdirAll(c.Data(), 0o711))
					must(t, os.WriteFile(way, nil, 0o600))
					c, err = r.Find(c.ID)
					if err != nil {
						t.Fatalf("an operator accepts it: %v", err)
					}
					if _, err := os.Stat(way); !os.IsNotExist(err) || c.Record().Head != "" {
						t.Errorf("what was accepted once is accepted for ever: %v; head %q", err, c.Record().Head)
					}
					if a := c.State().Accepted; a == nil || a.Although == "" {
						t.Errorf("that it was accepted is shown as %+v", a)
					}
					if _, err := reopen(t, r).Find(c.ID); err != nil {
						t.Errorf("after a new start: %v", err)
					}
				})
			}
		})
	}
}

// TestAnApplicationMayEmptyItsVolume while the agent runs, whatever happens to the agent next.
func TestAnApplicationMayEmptyItsVolume(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := filled(t, r)
	must(t, empty(c.Data()))
	look(c)
	if s := c.State(); s.Warning != "" {
		t.Errorf("a warning: %s", s.Warning)
	}
	r = reopen(t, r) // killed: nothing was closed
	c, err := r.Find(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.WriteFile(filepath.Join(c.Data(), "new"), nil, 0o600))
	must(t, r.Close(c.ID))
	must(t, empty(c.Data()))
	if _, err := r.Find(c.ID); !errors.Is(err, ErrBroken) {
		t.Errorf("emptied when it was closed: got %v, want ErrBroken", err)
	}
	if err := c.MayOpen(2, ""); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("it may be opened: %v", err)
	}
}

// TestClosingForgetsNoLoss: a copy whose data is gone can be closed, and stays lost.
func TestClosingForgetsNoLoss(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := filled(t, r)
	must(t, r.Shut())
	must(t, empty(c.Data()))
	r = open(t, r.path, Options{})
	must(t, r.Close(c.ID))
	if _, err := r.Find(c.ID); !errors.Is(err, ErrBroken) {
		t.Errorf("got %v, want ErrBroken", err)
	}
	must(t, r.Remove(c.ID))
	if err := r.Restore(c.ID, 1); !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "it held base, global") {
		t.Errorf("what has no data was restored: %v", err)
	}
}

// filled makes a copy that is open, with names in it that a look has seen.
func filled(t *testing.T, r *Root) *Copy {
	t.Helper()
	c := add(t, r)
	must(t, c.Opened(1))
	for _, name := range []string{"base", "global"} {
		must(t, os.Mkdir(filepath.Join(c.Data(), name), 0o700))
	}
	look(c)
	return c
}

// look is a listing a second later, and the note of what it saw.
func look(c *Copy) {
	c.seen = time.Time{}
	c.State()
	c.root.notes.all.Wait()
}

func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
