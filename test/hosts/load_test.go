// Package hosts_test moves databases in containers between hosts with Docker and btrfs, and breaks
// things on the way. Each test ends with the same questions: is every acknowledged write there,
// does the application run on exactly one host, was there ever a second writer.
package hosts_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload"
	"github.com/drover/drover/internal/workload/postgres"
	"github.com/drover/drover/test/harness/debian"
	"github.com/drover/drover/test/harness/hosts"
	"github.com/drover/drover/test/harness/testcluster"
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
	root, err := debian.Root(ctx, "postgresql-15", "redis-server")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// start starts clients of a database that is deployed and filled, at an address.
func start(t *testing.T, c *testcluster.Cluster, db workload.Database, app cluster.AppName, address string, megabytes int) *testcluster.Load {
	t.Helper()
	if err := db.Prepare(t.Context(), address, megabytes, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	return c.Load(db, app, address)
}

// postgres is PostgreSQL in the test image.
func database() postgres.Database { return postgres.Database{Image: debianImage} }

const port = 17000

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
