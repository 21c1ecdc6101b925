package testcluster

import (
	"context"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/drover/drover/test/harness/hosts"
	"github.com/drover/drover/test/harness/writers"
)

// OnHosts starts a cluster of nodes with Docker engines and btrfs, each on a host of its own, and
// ends it with the test. The control service runs on this machine. Faults of the network are those
// of the Network. Flags are added to the command line of every agent.
func OnHosts(t *testing.T, nodes int, flags ...string) *Cluster {
	t.Helper()
	return OnHostsAt(t, "", 2, nodes, flags...)
}

// OnHostsAt is OnHosts with certain addresses: see hosts.NewAt.
func OnHostsAt(t *testing.T, prefix string, first, nodes int, flags ...string) *Cluster {
	t.Helper()
	if err := hosts.Available(); err != nil {
		t.Fatalf("CANNOT RUN: hosts in network namespaces: %v", err)
	}
	dir := dataDir(t)
	network, err := hosts.NewAt(filepath.Join(dir, "hosts"), prefix, first, nodes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Errorf("take the hosts away: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := network.StartEngines(ctx); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, relays: newRelays(t), Network: network}
	c.Cluster = network.Cluster(Binary(t), filepath.Join(dir, "cluster"), flags...)
	c.run(watchEvery, func() map[string][]string { return containedWriters(network) })
	return c
}

// PowerOff ends everything on a node's host at once, and PowerOn brings it up again.
func (c *Cluster) PowerOff(node string) {
	c.t.Helper()
	if err := c.host(node).PowerOff(); err != nil {
		c.t.Fatal(err)
	}
	c.Kill(node) // it is dead, and this waits for that
}

// PowerOn starts the engine and the agent of a host that was powered off.
func (c *Cluster) PowerOn(node string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), Patience)
	defer cancel()
	if err := c.host(node).PowerOn(ctx); err != nil {
		c.t.Fatal(err)
	}
	c.Restart(node)
}

// host returns what a node is on.
func (c *Cluster) host(node string) interface {
	PowerOff() error
	PowerOn(ctx context.Context) error
} {
	if c.VMs != nil {
		return c.VMs.Host(node)
	}
	return c.Network.Host(node)
}

// RestartEngine ends a host's engine by a signal and starts it again.
func (c *Cluster) RestartEngine(node string, signal syscall.Signal) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), Patience)
	defer cancel()
	host := c.Network.Host(node)
	host.StopEngine(signal)
	if err := host.StartEngine(ctx); err != nil {
		c.t.Fatal(err)
	}
}

// containedWriters returns, for each application with a volume, the hosts on which a process of
// it lives in a container.
func containedWriters(network *hosts.Network) map[string][]string {
	found := map[string][]string{}
	for _, h := range network.Hosts {
		for _, pid := range h.Contained() {
			app, volume := writers.Environment(pid)
			if app != "" && volume != "" && !slices.Contains(found[app], h.Name) {
				found[app] = append(found[app], h.Name)
			}
		}
	}
	return found
}
