package testcluster

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload"
)

// A Load is clients of a database that runs in a cluster.
type Load struct {
	App    cluster.AppName
	Runner *workload.Runner

	t *testing.T
	c *Cluster
}

// Load starts clients of a database that is deployed, at an address, which write until Verify or the
// end of the test.
func (c *Cluster) Load(db workload.Database, app cluster.AppName, address string) *Load {
	c.t.Helper()
	l := &Load{App: app, Runner: &workload.Runner{Database: db, Address: address, Clients: 4, Think: c.think}, t: c.t, c: c}
	l.Runner.Start(context.WithoutCancel(c.t.Context()))
	c.t.Cleanup(func() { l.Runner.Stop() })
	l.Progress()
	return l
}

// Progress waits until more writes are acknowledged: the database serves.
func (l *Load) Progress() {
	l.t.Helper()
	want := l.Runner.Totals().Acknowledged + 20
	deadline := time.Now().Add(Patience)
	for l.Runner.Totals().Acknowledged < want {
		if time.Now().After(deadline) {
			l.t.Fatalf("no writes are acknowledged any more; status: %+v", l.c.Converge().Pending)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Move moves the application and waits until it has.
func (l *Load) Move(to string) cluster.Move {
	l.t.Helper()
	ended := l.c.WaitMove(l.c.Move(l.App, to).ID)
	if ended.Phase != cluster.PhaseDone {
		l.t.Fatalf("the move to %s ended as %s: %s", to, ended.Phase, ended.Reason)
	}
	l.Progress()
	return ended
}

// What a test has done to a database, as far as its clients may notice.
type Harm int

const (
	// Moved: connections that are open break. No request fails.
	Moved Harm = iota
	// Crashed: connections break, also those that the database is just greeting. None is refused.
	Crashed
	// ProxyKilled: whatever the clients' own proxy did for them ends with it.
	ProxyKilled
)

// Verify ends the load and checks the promises to the clients: above all, that every acknowledged
// write is there.
func (l *Load) Verify(harm Harm) {
	l.t.Helper()
	l.Progress()
	totals := l.Runner.Stop()
	for _, err := range totals.Errors {
		if harm == Moved || (harm == Crashed && errors.Is(err, syscall.ECONNREFUSED)) {
			l.t.Errorf("a request failed: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	check, err := l.Runner.Verify(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, lost := range check.Lost[:min(len(check.Lost), 5)] {
		l.t.Errorf("an acknowledged write is lost: %s", lost)
	}
	l.t.Logf("%d writes acknowledged, %d stored, %d lost, %d failed, %d reconnects",
		totals.Acknowledged, check.Stored, len(check.Lost), totals.Failed, totals.Reconnects)
}

// RunsOn checks that an application runs on one node alone, and on which; empty is any.
func (c *Cluster) RunsOn(app cluster.AppName, want string) {
	c.t.Helper()
	var on []string
	for _, n := range c.Converge().Nodes {
		for _, a := range n.State.Applications {
			if a.Name == app && a.Running {
				on = append(on, n.Node.Name)
			}
		}
	}
	if len(on) != 1 || (want != "" && on[0] != want) {
		c.t.Errorf("%s runs on %v, want exactly one node, %s", app, on, want)
	}
}
