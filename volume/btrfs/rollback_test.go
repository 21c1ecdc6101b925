package btrfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestARollbackThatBreaksOff has a crash, or an error, after each of its steps.
func TestARollbackThatBreaksOff(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	staged := func(p *pair, c *subvolumes) { p.must(p.a.stage(t.Context(), c, "s1")) }
	committed := func(p *pair, c *subvolumes) {
		staged(p, c)
		s, err := c.Record().Snapshot("s1")
		p.must(err)
		p.must(c.commitRollback(s, "wish"))
	}
	exchanged := func(p *pair, c *subvolumes) {
		committed(p, c)
		p.must(exchange(c.stagePath(), c.Data()))
	}
	for _, row := range []struct {
		rule    string
		until   func(*pair, *subvolumes)
		decided bool
	}{
		{"what was only staged is forgotten", staged, false},
		{"what was decided is done", committed, true},
		{"what was exchanged is not exchanged back", exchanged, true},
	} {
		for _, crash := range []bool{true, false} {
			t.Run(row.rule, func(t *testing.T) {
				p := newPair(t, fs)
				history(p)
				c, err := p.a.find(p.id)
				p.must(err)
				row.until(p, c)
				if crash {
					root := p.a.path
					p.must(p.a.Shut())
					p.a = openAt(t, root)
				} else if _, err := p.a.Open(t.Context(), p.id, 1, ""); row.decided != errors.Is(err, cluster.ErrUnavailable) {
					t.Errorf("open of a copy that is half way: %v", err)
				} else if p.must(p.a.root.Close(p.id)); row.decided {
					p.must(p.a.Rollback(t.Context(), p.id, "s1", "wish"))
				}
				want, wish, left := "two", "", 2
				if row.decided {
					want, wish, left = "one", "wish", 1
				}
				held, err := volume.Find(t.Context(), p.a, p.id)
				p.must(err)
				files, err := readFiles(t, p.a, p.id)
				p.must(err)
				if held.Rollback != wish || len(held.Snapshots) != left || held.Warning != "" || files["file"] != want {
					t.Errorf("the copy is %+v with %v", held, files)
				}
				if row.decided {
					wantNothingLeft(t, p)
				}
			})
		}
	}
}

// history writes "one", a snapshot, "two" and a snapshot, and closes the volume.
func history(p *pair) {
	p.t.Helper()
	for _, step := range []struct {
		content string
		name    cluster.SnapshotName
	}{{"one", "s1"}, {"two", "s2"}} {
		p.must(os.WriteFile(filepath.Join(p.a.Path(p.id), "file"), []byte(step.content), 0o600))
		_, err := p.a.Snapshot(p.t.Context(), p.id, step.name, true)
		p.must(err)
	}
	p.must(p.a.Close(p.t.Context(), p.id))
}

// wantNothingLeft checks that neither the old content nor the later snapshots take up space.
func wantNothingLeft(t *testing.T, p *pair) {
	t.Helper()
	for _, name := range []string{"rollback", "@s2"} {
		if _, err := os.Lstat(filepath.Join(p.a.path, string(p.id), name)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}
