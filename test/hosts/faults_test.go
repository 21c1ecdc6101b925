package hosts_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestHostsDieInEachPhase pulls the plug of the host that has come to a point of a move, brings it
// back, and asks whether the move ended, where PostgreSQL runs and whether anything is lost. One
// cluster and one database go through all of it.
func TestHostsDieInEachPhase(t *testing.T) {
	c := testcluster.OnHosts(t, 3)
	importDebian(t, c, "a")
	importDebian(t, c, "b")
	db := database()
	c.Deploy(db.Application("db", port), "a")
	l := start(t, c, db, "db", c.Proxy("c", port), 8)
	source, target := "a", "b"
	for _, row := range []struct {
		victim, point string
		// committed: by then the target is the owner, or will be.
		committed bool
	}{
		{"source", "handoff.precopy", false},
		{"source", "handoff.hold", false},
		{"source", "handoff.stop", false},
		{"source", "handoff.final", false},
		{"source", "handoff.commit.before", false},
		{"source", "handoff.commit.after", true},
		{"target", "arrive.ready", false},
		{"target", "arrive.receive", false},
		{"target", "promote.open", true},
		{"target", "promote.start", true},
	} {
		t.Run(row.victim+" at "+row.point, func(t *testing.T) {
			victim := map[string]string{"source": source, "target": target}[row.victim]
			c.StopAt(victim, row.point)
			l.Progress()
			move := c.Move("db", target)
			c.WaitStopped(victim)
			c.PowerOff(victim)
			c.PowerOn(victim)
			ended := c.WaitMove(move.ID)
			if row.committed && ended.Phase != cluster.PhaseDone {
				t.Errorf("the move was committed and ended as %s: %s", ended.Phase, ended.Reason)
			}
			t.Logf("the move ended as %s after %d attempts", ended.Phase, ended.Attempt)
			if ended.Phase == cluster.PhaseDone {
				source, target = target, source
			}
			c.RunsOn("db", source)
		})
	}
	l.Verify(testcluster.Crashed)
}

// TestLinkCutInEachPhase cuts the link between source and target for 20 s at each point of a move,
// while everybody else reaches both.
func TestLinkCutInEachPhase(t *testing.T) {
	const length = 20 * time.Second
	c := testcluster.OnHosts(t, 3)
	importDebian(t, c, "a")
	importDebian(t, c, "b")
	db := database()
	c.Deploy(db.Application("db", port), "a")
	l := start(t, c, db, "db", c.Proxy("c", port), 32)
	source, target := "a", "b"
	for _, row := range []struct{ victim, point string }{
		{"target", "arrive.receive"},
		{"source", "handoff.precopy"},
		{"source", "handoff.hold"},
		{"source", "handoff.stop"},
		{"source", "handoff.final"},
		{"target", "promote.open"},
	} {
		t.Run(row.victim+" at "+row.point, func(t *testing.T) {
			victim := map[string]string{"source": source, "target": target}[row.victim]
			c.StopAt(victim, row.point)
			l.Progress()
			move := c.Move("db", target)
			c.WaitStopped(victim)
			from, to := c.Network.Host(source), c.Network.Host(target)
			if err := c.Network.Cut(from, to); err != nil {
				t.Fatal(err)
			}
			if err := c.Process(victim).Thaw(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(length) // of the fault, not a wait for anything
			if err := c.Network.Heal(from, to); err != nil {
				t.Fatal(err)
			}
			ended := c.WaitMove(move.ID)
			t.Logf("the move ended as %s after %d attempts, pause %s", ended.Phase, ended.Attempt, ended.Stats.Pause)
			if ended.Phase == cluster.PhaseDone {
				source, target = target, source
			}
			c.RunsOn("db", source)
		})
	}
	l.Verify(testcluster.Moved)
}

// TestEnginesRestart restarts the engine of the host that PostgreSQL runs on, in order and not.
func TestEnginesRestart(t *testing.T) {
	c := testcluster.OnHosts(t, 2)
	importDebian(t, c, "a")
	db := database()
	app := db.Application("db", port)
	app.Restart = cluster.RestartPolicy{Name: cluster.RestartNever} // it did not end by itself
	c.Deploy(app, "a")
	l := start(t, c, db, "db", c.Proxy("b", port), 8)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		c.RestartEngine("a", signal)
		l.Progress()
		c.RunsOn("db", "a")
	}
	// The agent's own restart touches nothing.
	before := containers(t, c, "a")
	c.Restart("a")
	l.Progress()
	if after := containers(t, c, "a"); after != before {
		t.Errorf("containers before the agent's restart\n%safter\n%s", before, after)
	}
	c.Restart(localcluster.Control)
	l.Progress()
	l.Verify(testcluster.Crashed)
}

// containers lists the running containers of a host, by id.
func containers(t *testing.T, c *testcluster.Cluster, node string) string {
	t.Helper()
	out, err := c.Network.Host(node).Docker("ps", "--no-trunc", "--quiet").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
