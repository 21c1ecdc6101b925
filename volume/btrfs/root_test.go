package btrfs

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestTheRootIsLeftAsItWas: a stream makes everything that is new in the root first, and says of the
// root's time only what the source did there.
func TestTheRootIsLeftAsItWas(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	for _, row := range []struct{ rule, before, then string }{
		{"a name below", "mkdir sub", "echo new >sub/new"},
		{"a name in the root", "mkdir sub", "echo new >new"},
		{"a directory for another one", "mkdir -p sub/a", "mv sub/a sub/b; mkdir sub/a"},
		{"a name that is gone below", "mkdir sub; echo old >sub/old", "rm sub/old"},
		{"another time", "mkdir sub", "echo new >sub/new; touch -d 2001-02-03T04:05:06.789 ."},
		{"nothing", "echo old >old", "true"},
		{"more directories than the kernel remembers", "for i in $(seq 300); do mkdir $i; echo $i >$i/file; done",
			"for i in $(seq 300); do echo $i >$i/new; done"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			p := newPair(t, fs)
			base := cluster.SnapshotName("")
			for _, step := range []struct{ script, name string }{{row.before, "s1"}, {row.then, "s2"}} {
				cmd := exec.Command("sh", "-ec", step.script)
				cmd.Dir = p.a.Path(p.id)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", step.script, err, out)
				}
				name := cluster.SnapshotName(step.name)
				p.ship(p.a, p.b, base, name)
				base = name
				sameTo(t, p, name)
				if got, want := timesIn(t, p.b, p, name), timesIn(t, p.a, p, name); got != want {
					t.Errorf("%s: times are\n%s, not\n%s", name, got, want)
				}
			}
		})
	}
}

// TestAProtectedRootHoldsNothingUp: a volume whose own directory is immutable, or may only grow, does not
// move by another name than its own, and leaves nothing behind.
func TestAProtectedRootHoldsNothingUp(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	for _, flag := range []string{"i", "a"} {
		t.Run(flag, func(t *testing.T) {
			p := newPair(t, fs)
			if out, err := exec.Command("chattr", "+"+flag, p.a.Path(p.id)).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			_, err := p.a.Snapshot(t.Context(), p.id, "s1", false)
			p.must(err)
			d := volume.Delta{Volume: p.id, To: "s1"}
			err = p.b.Receive(t.Context(), d, bytes.NewReader(p.stream(d)))
			if !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), "own directory") {
				t.Errorf("got %v, want ErrUnsupported", err)
			}
			if left, _ := filepath.Glob(filepath.Join(p.b.path, "*", "incoming")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			p.must(p.a.Close(t.Context(), p.id))
			_, err = p.a.Snapshot(t.Context(), p.id, "s2", false)
			p.must(err)
			p.must(p.a.Drop(t.Context(), p.id, "s1"))
			p.must(p.a.Demote(t.Context(), p.id, 2))
			p.must(p.a.Remove(t.Context(), p.id))
			p.must(p.a.Purge(t.Context(), time.Now().Add(time.Hour)))
			if left, _ := filepath.Glob(filepath.Join(p.a.path, "trash", "*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// timesIn returns the times of all names of a snapshot, to the nanosecond.
func timesIn(t *testing.T, b *Backend, p *pair, name cluster.SnapshotName) string {
	t.Helper()
	c, err := b.find(p.id)
	p.must(err)
	out, err := exec.Command("sh", "-ec", `cd "$1" && find . -printf '%T@ %P\n' | sort -k 2 | head -20`, "sh", c.snapshotPath(name)).Output()
	p.must(err)
	return string(out)
}
