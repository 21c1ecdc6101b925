// Package cluster_test moves databases between real processes and breaks things on the way. Each
// test ends with the same questions: is every acknowledged write there, does the application run
// on exactly one node, was there ever a second writer.
package cluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/ledger"
	"github.com/drover/drover/internal/testcluster"
	"github.com/drover/drover/internal/workload"
)

const (
	app  cluster.AppName = "ledger"
	port int             = 17000
)

// A load is a ledger under load in a cluster.
type load struct {
	t      *testing.T
	c      *testcluster.Cluster
	runner *workload.Runner
}

// deployLedger deploys a ledger with that much data to a node, and starts clients at a proxy.
func deployLedger(t *testing.T, c *testcluster.Cluster, node, proxy string, megabytes int) *load {
	t.Helper()
	db := ledger.Database{Binary: testcluster.Binary(t)}
	c.Deploy(db.Application(app, port), node)
	address := c.Proxy(proxy, port)
	if err := db.Prepare(t.Context(), address, megabytes, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	l := &load{t: t, c: c, runner: &workload.Runner{Database: db, Address: address, Clients: 4}}
	l.runner.Start(context.WithoutCancel(t.Context()))
	l.progress()
	t.Cleanup(func() { l.runner.Stop() })
	return l
}

// progress waits until more writes are acknowledged: the database serves.
func (l *load) progress() {
	l.t.Helper()
	want := l.runner.Totals().Acknowledged + 20
	deadline := time.Now().Add(testcluster.Patience)
	for l.runner.Totals().Acknowledged < want {
		if time.Now().After(deadline) {
			l.t.Fatalf("no writes are acknowledged any more; status: %+v", l.c.Converge().Pending)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// verify checks the promises to the clients. Whether requests may fail is for the caller: when a
// proxy is killed, its clients lose more than a connection.
func (l *load) verify(mayFail bool) {
	l.t.Helper()
	l.progress()
	totals := l.runner.Stop()
	if !mayFail {
		for _, err := range totals.Errors {
			l.t.Errorf("a request failed: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), testcluster.Patience)
	defer cancel()
	check, err := l.runner.Verify(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, lost := range check.Lost[:min(len(check.Lost), 5)] {
		l.t.Errorf("an acknowledged write is lost: %s", lost)
	}
	l.t.Logf("%d writes acknowledged, %d stored, %d lost, %d failed, %d reconnects",
		totals.Acknowledged, check.Stored, len(check.Lost), totals.Failed, totals.Reconnects)
}

// runsOn checks that the application runs on one node, and returns that node's name.
func (l *load) runsOn(want string) {
	l.t.Helper()
	status := l.c.Converge()
	var on []string
	for _, n := range status.Nodes {
		for _, a := range n.State.Applications {
			if a.Name == app && a.Running {
				on = append(on, n.Node.Name)
			}
		}
	}
	if len(on) != 1 || (want != "" && on[0] != want) {
		l.t.Errorf("the ledger runs on %v, want exactly one node, %s", on, want)
	}
}
