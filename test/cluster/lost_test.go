package cluster_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload/ledger"
	"github.com/drover/drover/test/harness/testcluster"
)

// A lost is a cluster of two nodes where a was the owner of a volume and has lost its copy. Node b has
// a replica.
type lost struct {
	*testcluster.Cluster
	t     *testing.T
	dir   string // where the copy was
	aside string // where it is now
}

// loses brings a ledger to node b and back, and then takes the copy of a away. With the agent down, it
// is gone when that starts again.
func loses(t *testing.T, down bool) *lost {
	t.Helper()
	c := testcluster.New(t, 2)
	db := ledger.Database{Binary: testcluster.Binary(t)}
	c.Deploy(db.Application(app, port), "a")
	if err := db.Prepare(t.Context(), c.Proxy("a", port), 1, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"b", "a"} {
		if ended := c.WaitMove(c.Move(app, node).ID); ended.Phase != cluster.PhaseDone {
			t.Fatalf("the move to %s ended as %s: %s", node, ended.Phase, ended.Reason)
		}
	}
	id := string(cluster.VolumeIDForName(app))
	l := &lost{Cluster: c, t: t, dir: filepath.Join(c.NodeDir("a"), "volumes", id), aside: filepath.Join(c.NodeDir("a"), "volumes-"+id)}
	if down {
		c.Kill("a")
	}
	if err := os.Rename(l.dir, l.aside); err != nil {
		t.Fatal(err)
	}
	if down {
		c.Restart("a")
	}
	return l
}

// drover runs a command of the user.
func (l *lost) drover(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), testcluster.Patience) // a way that does not end is none
	defer cancel()
	cmd := exec.CommandContext(ctx, testcluster.Binary(l.t), args...)
	cmd.Env = append(os.Environ(), "DROVER_CONTROL="+l.ControlAddress(), "DROVER_PKI="+l.PKI())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// until runs a command until it works and its output has those words.
func (l *lost) until(words string, args ...string) string {
	l.t.Helper()
	var out string
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if out, err = l.drover(args...); err == nil && strings.Contains("\n"+out, words) {
			return out
		}
	}
	l.t.Fatalf("drover %s never said %q: %v; it says:\n%s", strings.Join(args, " "), words, err, out)
	return ""
}

// converged waits until status says so.
func (l *lost) converged() { l.t.Helper(); l.until("\nconverged, revision", "status") }

// waysOut waits for the conflict and returns what status prints as its ways out.
func (l *lost) waysOut(node string) []string {
	l.t.Helper()
	out := l.until("CONFLICT on "+node+": this node owns volume "+string(app), "status")
	var ways []string
	for line := range strings.Lines(out) {
		if way, ok := strings.CutPrefix(line, "  - "); ok {
			ways = append(ways, strings.TrimSpace(way))
		}
	}
	return ways
}

// giveUp deletes the volume.
func (l *lost) giveUp() {
	l.t.Helper()
	none := filepath.Join(l.t.TempDir(), "app.yml")
	nowhere := filepath.Join(l.t.TempDir(), "nodes.yml")
	for file, text := range map[string]string{none: "version: 1\napplications: {}\n", nowhere: "version: 1\nnodes: {a: [], b: []}\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	l.until("", "deploy", "--wait=false", none, nowhere)
	l.until("is deleted", "volume", "rm", string(app))
	l.converged()
}

// TestEachWayOutOfALostCopyIsOne walks every way that CONFLICT prints to its end.
func TestEachWayOutOfALostCopyIsOne(t *testing.T) {
	ways := []struct {
		begins string
		walk   func(l *lost)
	}{
		{"put the copy back", func(l *lost) {
			if err := os.Rename(l.aside, l.dir); err != nil {
				l.t.Fatal(err)
			}
			l.converged()
			l.RunsOn(app, "a")
		}},
		{"let a node that holds a replica take over", func(l *lost) {
			if out, err := l.drover("move", string(app), "b"); err == nil || !strings.Contains(out, "drover volume takeover "+string(app)) {
				l.t.Errorf("a move from a node without its copy: %v\n%s", err, out)
			}
			l.until("b  ", "volume", "inspect", string(app))
			l.until("goes on from its replica, on b", "volume", "takeover", string(app), "b")
			l.converged()
			l.RunsOn(app, "b")
			l.until("b owns volume "+string(app), "events")
			// The copy that was lost comes back: it is ahead of what b went on from, and nobody opens it.
			if err := os.Rename(l.aside, l.dir); err != nil {
				l.t.Fatal(err)
			}
			l.until("the copy of a is ahead of the owner's", "events")
		}},
		{"give the data up", func(l *lost) {
			l.giveUp()
			if out, err := l.drover("volume", "undelete", string(app)); err == nil || !strings.Contains(out, "no longer in the trash of a") {
				l.t.Errorf("undelete of what is lost: %v\n%s", err, out)
			}
		}},
	}
	for i, way := range ways {
		t.Run(way.begins, func(t *testing.T) {
			t.Parallel()
			l := loses(t, i == 0) // with the agent down for one of them
			printed := l.waysOut("a")
			if len(printed) != len(ways) || !slices.ContainsFunc(printed, func(p string) bool { return strings.HasPrefix(p, way.begins) }) {
				t.Fatalf("status prints the ways out %q: each needs a walk here", printed)
			}
			way.walk(l)
		})
	}
}

// TestABrokenReplicaHoldsUpNoMove spoils the replica of b in each way, while its agent runs: the next move
// there ships in full, and an event has told of it.
func TestABrokenReplicaHoldsUpNoMove(t *testing.T) {
	t.Parallel()
	c := testcluster.New(t, 2)
	db := ledger.Database{Binary: testcluster.Binary(t)}
	c.Deploy(db.Application(app, port), "a")
	if err := db.Prepare(t.Context(), c.Proxy("a", port), 1, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	moves := func(node string) {
		t.Helper()
		if ended := c.WaitMove(c.Move(app, node).ID); ended.Phase != cluster.PhaseDone || ended.Attempt > 2 {
			t.Fatalf("the move to %s ended at attempt %d as %s: %s", node, ended.Attempt, ended.Phase, ended.Reason)
		}
	}
	home := filepath.Join(c.NodeDir("b"), "volumes", string(cluster.VolumeIDForName(app)))
	cut := func(name string) error { return os.Truncate(filepath.Join(home, name), 10) }
	for _, row := range []struct {
		rule  string
		spoil func() error
	}{
		{"its record is gone", func() error { return os.Remove(filepath.Join(home, "copy.json")) }},
		{"its record is cut short", func() error { return cut("copy.json") }},
		{"its data are gone", func() error { return os.RemoveAll(filepath.Join(home, "data")) }},
		{"its listings are cut short", func() error { return cutAll(filepath.Join(home, "listings")) }},
		{"all of it is gone", func() error { return os.RemoveAll(home) }},
	} {
		moves("b")
		moves("a")
		if err := row.spoil(); err != nil {
			t.Fatalf("%s: %v", row.rule, err)
		}
		t.Log(row.rule)
		moves("b")
		moves("a")
	}
}

// cutAll cuts all files of a directory short.
func cutAll(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s holds no files: %v", dir, err)
	}
	for _, file := range files {
		if err := os.Truncate(file, 10); err != nil {
			return err
		}
	}
	return nil
}

// changes moves a ledger to node b, whose replica somebody changes between the commit and its opening.
func changes(t *testing.T) *lost {
	t.Helper()
	c := testcluster.New(t, 2)
	db := ledger.Database{Binary: testcluster.Binary(t)}
	c.Deploy(db.Application(app, port), "a")
	if err := db.Prepare(t.Context(), c.Proxy("a", port), 1, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	l := &lost{Cluster: c, t: t, dir: filepath.Join(c.NodeDir("b"), "volumes", string(cluster.VolumeIDForName(app)), "data")}
	c.StopAt("b", "promote.open")
	c.Move(app, "b")
	c.WaitStopped("b")
	l.aside = filepath.Join(l.dir, "added by somebody")
	if err := os.WriteFile(l.aside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Process("b").Thaw()
	return l
}

// TestEachWayOutOfAChangedReplicaIsOne: it is found when its owner opens it, after the commit.
func TestEachWayOutOfAChangedReplicaIsOne(t *testing.T) {
	ways := []struct {
		begins string
		walk   func(l *lost)
	}{
		{"put the data back", func(l *lost) {
			if err := os.WriteFile(filepath.Join(filepath.Dir(l.dir), "accept"), nil, 0o600); err != nil {
				l.t.Fatal(err)
			}
			l.converged()
			l.RunsOn(app, "b")
		}},
		{"let a node that holds a replica take over", func(l *lost) {
			l.until("goes on from its replica, on a", "volume", "takeover", string(app), "a")
			l.converged()
			l.RunsOn(app, "a")
			// And it moves there all the same: what was changed is kept aside.
			if ended := l.WaitMove(l.Move(app, "b").ID); ended.Phase != cluster.PhaseDone {
				l.t.Errorf("the move to b ended as %s: %s", ended.Phase, ended.Reason)
			}
			if _, err := os.Stat(l.aside); err == nil {
				l.t.Error("what was changed is the volume")
			}
		}},
		{"give the data up", func(l *lost) { l.giveUp() }},
	}
	for _, way := range ways {
		t.Run(way.begins, func(t *testing.T) {
			t.Parallel()
			l := changes(t)
			printed := l.waysOut("b")
			if len(printed) != len(ways) || !slices.ContainsFunc(printed, func(p string) bool { return strings.HasPrefix(p, way.begins) }) {
				t.Fatalf("status prints the ways out %q: each needs a walk here", printed)
			}
			way.walk(l)
		})
	}
}
