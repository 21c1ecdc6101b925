// Package cluster_test moves databases between real processes and breaks things on the way. Each
// test ends with the same questions: is every acknowledged write there, does the application run
// on exactly one node, was there ever a second writer.
package cluster_test

import (
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload/ledger"
	"github.com/drover/drover/test/harness/testcluster"
)

const (
	app  cluster.AppName = "ledger"
	port int             = 17000
)

// deployLedger deploys a ledger with that much data to a node, and starts clients at a proxy.
func deployLedger(t *testing.T, c *testcluster.Cluster, node, proxy string, megabytes int) *testcluster.Load {
	t.Helper()
	db := ledger.Database{Binary: testcluster.Binary(t)}
	c.Deploy(db.Application(app, port), node)
	address := c.Proxy(proxy, port)
	if err := db.Prepare(t.Context(), address, megabytes, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	return c.Load(db, app, address)
}
