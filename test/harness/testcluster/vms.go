package testcluster

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/test/harness/vm"
	"github.com/drover/drover/test/harness/writers"
)

// Databases is an image with PostgreSQL and Redis, which every virtual host has.
var Databases = vm.Image{Name: "drover-test-debian:1", Packages: []string{"postgresql-15", "redis-server"}}

// firstBoot bounds the making of virtual hosts, also where nothing is in the cache yet.
const firstBoot = 20 * time.Minute

// pace leaves emulated processors time for something else than clients.
const pace = 300 * time.Millisecond

// slow are the flags of agents for which a second is soon over.
var slow = []string{"--pause-budget", "15s", "--hold-patience", "2m"}

// lookEvery is how often one of the hosts is looked at. To look through all processes takes an emulated
// processor 50 ms.
const lookEvery = 500 * time.Millisecond

// OnVMs starts a cluster of nodes with Docker engines and ZFS, each on a virtual host, and ends it
// with the test. The control service runs on this machine. Faults of the network are those of VMs.
// Flags are added to the command line of every agent; "--backend" among them replaces ZFS.
func OnVMs(t *testing.T, nodes int, flags ...string) *Cluster {
	t.Helper()
	if err := vm.Available(); err != nil {
		t.Fatalf("CANNOT RUN: virtual hosts: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), firstBoot)
	defer cancel()
	dir := dataDir(t)
	network, err := vm.New(ctx, filepath.Join(dir, "vms"), nodes, Databases)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Errorf("take the virtual hosts away: %v", err)
		}
	})
	c := &Cluster{t: t, relays: newRelays(t), VMs: network, think: pace}
	c.Cluster = network.Cluster(Binary(t), filepath.Join(dir, "cluster"), append(flags, slow...)...)
	c.run(lookEvery, lookAround(network))
	return c
}

// lookAround returns a function that looks at one host at each call, at the next one each time, and
// returns what ran on two at once.
func lookAround(network *vm.Network) func() map[string][]string {
	var overlaps writers.Overlaps
	next := 0
	return func() map[string][]string {
		host := network.Hosts[next%len(network.Hosts)]
		next++
		found := map[string][]string{}
		for app, both := range overlaps.Add(host.Name, host.Writers()) {
			found[app] = both[:]
		}
		return found
	}
}
