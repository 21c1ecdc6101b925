package cluster_test

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/internal/testcluster"
)

// TestKilledInEachPhase kills each party of a move at each point where that could matter, lets
// everything come back, and asks whether the move ended, where the application runs, and whether
// anything is lost.
func TestKilledInEachPhase(t *testing.T) {
	const source, target, control = "a", "b", localcluster.Control
	for _, row := range []struct {
		victim, point string
		// committed: by then the target is the owner, or will be.
		committed bool
	}{
		{source, "handoff.precopy", false},
		{source, "handoff.hold", false},
		{source, "handoff.stop", false},
		{source, "handoff.final", false},
		{source, "handoff.commit.before", false},
		{source, "handoff.commit.after", true},
		{target, "arrive.ready", false},
		{target, "arrive.receive", false},
		{target, "promote.open", true},
		{target, "promote.start", true},
		{control, "control.hold", false},
		{control, "control.commit.before", false},
		{control, "control.commit.after", true},
	} {
		t.Run(row.victim+" at "+row.point, func(t *testing.T) {
			t.Parallel()
			c := testcluster.New(t, 3)
			l := deployLedger(t, c, source, "c", 4)
			c.FailAt(row.victim, row.point)
			l.progress()
			move := c.Move(app, target)
			c.WaitDead(row.victim)
			c.Restart(row.victim)
			ended := c.WaitMove(move.ID)
			if row.committed && ended.Phase != cluster.PhaseDone {
				t.Errorf("the move was committed and ended as %s: %s", ended.Phase, ended.Reason)
			}
			where := source
			if ended.Phase == cluster.PhaseDone {
				where = target
			}
			l.runsOn(where)
			l.verify(false)
		})
	}
}

// TestCutOff cuts connections for a while during a move.
func TestCutOff(t *testing.T) {
	for _, row := range []struct {
		rule string
		cut  func(*testcluster.Cluster)
	}{
		{"the way to the target breaks: the transfer goes on where it was", func(c *testcluster.Cluster) { c.CutTransfer("b") }},
		{"the source is cut off from the control service", func(c *testcluster.Cluster) { c.CutControl("a") }},
		{"the target is cut off from the control service", func(c *testcluster.Cluster) { c.CutControl("b") }},
		{"a proxy is cut off from the control service", func(c *testcluster.Cluster) { c.CutControl("c") }},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			c := testcluster.New(t, 3)
			l := deployLedger(t, c, "a", "a", 32)
			c.Slow("b", 16<<20)
			move := c.Move(app, "b")
			waitPhase(t, c, move.ID, cluster.PhasePrecopy)
			row.cut(c)
			time.Sleep(3 * time.Second) // the length of the fault, not a wait for anything
			c.Heal()
			c.Slow("b", 0)
			ended := c.WaitMove(move.ID)
			if ended.Phase != cluster.PhaseDone {
				t.Errorf("the move ended as %s: %s", ended.Phase, ended.Reason)
			}
			l.runsOn("b")
			l.verify(false)
		})
	}
}

// waitPhase waits until a move is in that phase or a later one.
func waitPhase(t *testing.T, c *testcluster.Cluster, id cluster.MoveID, want cluster.Phase) {
	t.Helper()
	deadline := time.Now().Add(testcluster.Patience)
	for {
		moves, err := c.Control().Moves(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range moves {
			if m.ID == id && (m.Phase == want || m.Phase.Holds() || m.Phase.Ended()) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("move %s never came to %s", id, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
