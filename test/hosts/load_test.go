// Package hosts_test moves databases in containers between hosts with Docker and btrfs, and breaks
// things on the way. Each test ends with the same questions: is every acknowledged write there,
// does the application run on exactly one host, was there ever a second writer.
package hosts_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/bank"
	"github.com/drover/drover/internal/hosts"
	"github.com/drover/drover/internal/testcluster"
	"github.com/drover/drover/internal/workload"
)

const debianImage = "drover-test-debian:1"

func TestMain(m *testing.M) {
	if err := hosts.Available(); err != nil {
		fmt.Printf("CANNOT RUN: hosts in network namespaces: %v\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// importDebian puts the image with the databases on one host. The others get it when they need it.
func importDebian(t *testing.T, c *testcluster.Cluster, node string) {
	t.Helper()
	if err := c.Network.Host(node).ImportTar(debianImage, debianRoot(t)); err != nil {
		t.Fatal(err)
	}
}

// debianRoot returns the root with the databases.
func debianRoot(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	root, err := hosts.DebianRoot(ctx, "postgresql-15", "redis-server")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// A load is a database under load.
type load struct {
	t      *testing.T
	c      *testcluster.Cluster
	app    cluster.AppName
	runner *workload.Runner
}

// start starts clients of a database that is deployed, at a node's proxy.
func start(t *testing.T, c *testcluster.Cluster, db workload.Database, app cluster.AppName, address string, megabytes int) *load {
	t.Helper()
	if err := db.Prepare(t.Context(), address, megabytes, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	l := &load{t: t, c: c, app: app, runner: &workload.Runner{Database: db, Address: address, Clients: 4}}
	l.runner.Start(context.WithoutCancel(t.Context()))
	t.Cleanup(func() { l.runner.Stop() })
	l.progress()
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

// move moves the application and waits until it has.
func (l *load) move(to string) cluster.Move {
	l.t.Helper()
	ended := l.c.WaitMove(l.c.Move(l.app, to).ID)
	if ended.Phase != cluster.PhaseDone {
		l.t.Fatalf("the move to %s ended as %s: %s", to, ended.Phase, ended.Reason)
	}
	l.progress()
	return ended
}

// verify checks the promises to the clients. A crash of the database breaks the connections that it
// has, also those that it is just greeting; but none is ever refused.
func (l *load) verify(crashed bool) {
	l.t.Helper()
	l.progress()
	totals := l.runner.Stop()
	for _, err := range totals.Errors {
		if !crashed || errors.Is(err, syscall.ECONNREFUSED) {
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

// postgres is PostgreSQL in the test image.
func postgres() bank.Database { return bank.Database{Image: debianImage} }

const port = 17000

// runsOn checks that the application runs on one node alone.
func (l *load) runsOn(want string) {
	l.t.Helper()
	var on []string
	for _, n := range l.c.Converge().Nodes {
		for _, a := range n.State.Applications {
			if a.Name == l.app && a.Running {
				on = append(on, n.Node.Name)
			}
		}
	}
	if len(on) != 1 || on[0] != want {
		l.t.Errorf("%s runs on %v, want %s alone", l.app, on, want)
	}
}

// repeat runs a load generator, again whenever it ends, as it does when its connections break, until
// the test ends or the function that it returns is called, which says how often it was started.
func repeat(t *testing.T, name string, args ...string) (stop func() int) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	runs := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			n++
			_ = exec.CommandContext(ctx, name, args...).Run() // a break of its connections is no failure
		}
		runs <- n
	}()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-runs
	})
	t.Cleanup(func() { stop() })
	return stop
}
