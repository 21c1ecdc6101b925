package cluster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/workload/ledger"
	"github.com/drover/drover/test/harness/testcluster"
)

// configure changes the configuration, and does not wait for what follows from it.
func configure(t *testing.T, c *testcluster.Cluster, change func(*cluster.Configuration)) {
	t.Helper()
	document, err := c.Control().Configuration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	change(&document.Configuration)
	if _, err := c.Control().Configure(t.Context(), document.Revision, document.Configuration); err != nil {
		t.Fatal(err)
	}
}

// waitServes waits until a route leads to the application.
func waitServes(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	for deadline := time.Now().Add(testcluster.Patience); ; time.Sleep(20 * time.Millisecond) {
		status, err := c.Control().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(status.Routes, func(r cluster.Route) bool { return r.Application == app && r.Mode == cluster.Forward }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it never serves")
		}
	}
}

// TestAMoveMeetsWhatRunsNow: what uses a volume may change between the request for a move and the move
// itself, which waits for its target.
func TestAMoveMeetsWhatRunsNow(t *testing.T) {
	t.Run("an application that came after the request is stopped", func(t *testing.T) {
		t.Parallel()
		c := testcluster.New(t, 2)
		db := ledger.Database{Binary: testcluster.Binary(t)}
		later := db.Application(app, port)
		volume := later.Volume.Volume
		configure(t, c, func(next *cluster.Configuration) {
			next.Volumes = map[cluster.VolumeID]cluster.Volume{volume: {ID: volume, Name: string(app), Primary: c.NodeID("a")}}
		})
		c.Converge()
		c.Kill("b")
		move, err := c.Control().RequestMove(t.Context(), wire.MoveRequest{Volume: string(app), To: "b"})
		if err != nil {
			t.Fatal(err)
		}
		configure(t, c, func(next *cluster.Configuration) {
			later.Node = c.NodeID("b")
			next.Applications = map[cluster.AppName]cluster.Application{app: later}
		})
		waitServes(t, c)
		l := c.Load(db, app, c.Proxy("a", port))
		c.Restart("b")
		if ended := c.WaitMove(move.ID); ended.Phase != cluster.PhaseDone {
			t.Errorf("the move ended as %s: %s", ended.Phase, ended.Reason)
		}
		c.RunsOn(app, "b")
		l.Verify(testcluster.Moved)
	})
	t.Run("an application that is gone since is not missed", func(t *testing.T) {
		t.Parallel()
		c := testcluster.New(t, 2)
		c.Deploy(ledger.Database{Binary: testcluster.Binary(t)}.Application(app, port), "a")
		c.Kill("b")
		move := c.Move(app, "b")
		configure(t, c, func(next *cluster.Configuration) { next.Applications = nil })
		c.Restart("b")
		if ended := c.WaitMove(move.ID); ended.Phase != cluster.PhaseDone || ended.Attempt != 1 {
			t.Errorf("the move ended as %s in attempt %d: %s", ended.Phase, ended.Attempt, ended.Reason)
		}
	})
}
