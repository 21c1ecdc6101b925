package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload/ledger"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestANodeThatIsGoneIsReplaced: its host is lost with all that ran there, and the node with the replica takes
// its place. The host that comes back starts nothing, and says why; let in again, it keeps its copy aside.
func TestANodeThatIsGoneIsReplaced(t *testing.T) {
	t.Parallel()
	c := testcluster.New(t, 3)
	l := &lost{Cluster: c, t: t}
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
	if out, err := l.drover("node", "rm", "a", "--yes"); err == nil || !strings.Contains(out, "a was heard of") {
		t.Errorf("a node that is there was removed: %v\n%s", err, out)
	}
	c.LoseHost("a")
	l.until("not heard of", "status")

	out, err := l.drover("node", "replace", "a", "b")
	if err == nil || !strings.Contains(out, "would be removed; b takes its place") || !strings.Contains(out, "nothing was changed") {
		t.Errorf("without being asked: %v\n%s", err, out)
	}
	l.until("b owns volume "+string(app)+" from epoch 4 on, because a was removed", "node", "replace", "a", "b", "--yes")
	l.converged()
	c.RunsOn(app, "b")

	if err := c.Run("a"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(testcluster.Patience); !strings.Contains(c.Process("a").Tail(), "drover node readmit a"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the host that is back is not told why it is not let in:\n%s", c.Process("a").Tail())
		}
	}
	l.until("a ", "node", "ls", "--removed")
	l.until("may register again", "node", "readmit", "a")
	l.until("the copy of a is ahead of the owner's", "events")
	l.converged()
	c.RunsOn(app, "b")
}
