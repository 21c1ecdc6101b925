// Package testcluster is a cluster of real processes in a test, with faults.
//
//	c := testcluster.New(t, 3)
//	c.FailAt("a", "handoff.final") // a's agent ends there by SIGKILL
//	c.Partition("b")               // nobody reaches b's transfer server, b reaches no control
//	c.Slow("b", 1<<20)             // b's transfer server takes 1 MiB/s
//	c.Heal()
//
// Its clean-up checks the promises that hold whatever happened: no application ran on two nodes
// at once, and no external port has two routes. What the clients were promised is checked by
// their workload.
//
//	control <--relay-- agent a --relay--> agent b
//
// Every connection between two processes of the cluster goes through a relay of its own, which
// can be cut and slowed down.
package testcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/test/harness/hosts"
	"github.com/drover/drover/test/harness/vm"
)

// Patience bounds every wait of a test: longer than anything takes on a busy machine, emulated or not.
const Patience = 10 * time.Minute

// watchEvery is how often the writers are looked at, where that costs little.
const watchEvery = 50 * time.Millisecond

// A Cluster is a cluster under test.
type Cluster struct {
	*localcluster.Cluster
	t      *testing.T
	relays *relays
	watch  *writerWatch
	client *client.Client
	think  time.Duration // of each client of a Load

	// Network is set if the nodes are on hosts, VMs if they are on virtual hosts.
	Network *hosts.Network
	VMs     *vm.Network
}

// New starts a cluster of that many nodes and ends it with the test. Flags are added to the
// command line of every agent.
func New(t *testing.T, nodes int, flags ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, relays: newRelays(t)}
	c.Cluster = &localcluster.Cluster{Binary: Binary(t), Dir: dataDir(t), Nodes: nodes, AgentFlags: flags, Advertise: c.advertise}
	c.run(watchEvery, func() map[string][]string { return writersBelow(c.Dir) })
	return c
}

// run starts the processes and ends them with the test, and watches all the while on which nodes
// the applications are.
func (c *Cluster) run(every time.Duration, writers func() map[string][]string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), Patience)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(c.end)
	c.watch = watchWriters(every, writers)
	control, err := c.Cluster.Client()
	if err != nil {
		c.t.Fatal(err)
	}
	c.client = control
}

// Binary returns the drover program: DROVER_BINARY, or one that is built for this test.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("DROVER_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "drover")
	build := exec.Command("go", "build", "-o", path, "github.com/drover/drover/cmd/drover")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build drover: %v\n%s", err, out)
	}
	return path
}

// dataDir is a temporary directory that other users can pass through, since applications may run
// as one: those of testing.T can't be.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "drover-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept for a look: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return dir
}

// Control returns a client with the user's certificate, which goes to the control service
// without a relay.
func (c *Cluster) Control() *client.Client { return c.client }

// Proxy returns where a node's proxy serves an external port.
func (c *Cluster) Proxy(node string, port int) string {
	return fmt.Sprintf("%s:%d", c.Address(node), port)
}

// Deploy makes one application, with its volume, run on a node, and waits until it does.
func (c *Cluster) Deploy(app cluster.Application, node string) {
	c.t.Helper()
	c.DeployAll(map[string][]cluster.Application{node: {app}})
}

// DeployAll makes applications, with their volumes, run on nodes and nothing else, and waits until
// they do.
func (c *Cluster) DeployAll(placed map[string][]cluster.Application) {
	c.t.Helper()
	configuration := cluster.Configuration{Applications: map[cluster.AppName]cluster.Application{}, Volumes: map[cluster.VolumeID]cluster.Volume{}}
	for node, apps := range placed {
		for _, app := range apps {
			app.Node = c.NodeID(node)
			configuration.Applications[app.Name] = app
			if app.Volume != nil {
				configuration.Volumes[app.Volume.Volume] = cluster.Volume{ID: app.Volume.Volume, Name: string(app.Name), Primary: app.Node}
			}
		}
	}
	if _, err := c.client.Configure(c.t.Context(), 0, configuration); err != nil {
		c.t.Fatal(err)
	}
	c.Converge()
}

// Place makes an application without a volume run on another node, and waits until it does.
func (c *Cluster) Place(name cluster.AppName, node string) {
	c.t.Helper()
	document, err := c.client.Configuration(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	app := document.Configuration.Applications[name]
	app.Node = c.NodeID(node)
	document.Configuration.Applications[name] = app
	if _, err := c.client.Configure(c.t.Context(), document.Revision, document.Configuration); err != nil {
		c.t.Fatal(err)
	}
	c.Converge()
}

// Converge waits until the cluster has converged, and returns its status.
func (c *Cluster) Converge() wire.Status {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), Patience)
	defer cancel()
	status, err := c.client.WaitConverged(ctx, nil)
	if err != nil {
		c.t.Fatalf("wait for the cluster to converge: %v; pending: %v", err, status.Pending)
	}
	return status
}

// Move asks for a move.
func (c *Cluster) Move(app cluster.AppName, node string) cluster.Move {
	c.t.Helper()
	move, err := c.client.RequestMove(c.t.Context(), wire.MoveRequest{Application: app, To: node})
	if err != nil {
		c.t.Fatal(err)
	}
	return move
}

// WaitMove waits until a move has ended.
func (c *Cluster) WaitMove(id cluster.MoveID) cluster.Move {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), Patience)
	defer cancel()
	move, err := c.client.WatchMove(ctx, id, func(cluster.Move) {})
	if err != nil {
		c.t.Fatalf("wait for move %s: %v", id, err)
	}
	return move
}

// FailAt starts a process again so that it ends by SIGKILL at that fault point.
func (c *Cluster) FailAt(name, point string) {
	c.t.Helper()
	c.Restart(name, fault.Variable+"="+point)
}

// StopAt starts a process again so that it stops at that fault point, until it is thawed.
func (c *Cluster) StopAt(name, point string) {
	c.t.Helper()
	c.Restart(name, fault.Variable+"=stop:"+point)
}

// WaitStopped waits until a process that was told to stop has done so.
func (c *Cluster) WaitStopped(name string) {
	c.t.Helper()
	for deadline := time.Now().Add(Patience); !c.Process(name).Frozen(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s never came to its fault point", name)
		}
	}
}

// Restart kills a process, if it runs, and starts it again.
func (c *Cluster) Restart(name string, environment ...string) {
	c.t.Helper()
	c.Kill(name)
	if err := c.Run(name, environment...); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), Patience)
	defer cancel()
	if err := c.WaitLive(ctx); err != nil {
		c.t.Fatal(err)
	}
}

// WaitDead waits until a process that was told to fail has done so.
func (c *Cluster) WaitDead(name string) {
	c.t.Helper()
	select {
	case <-c.Process(name).Done():
	case <-time.After(Patience):
		c.t.Fatalf("%s never came to its fault point", name)
	}
}

// end stops the cluster and checks the promises.
func (c *Cluster) end() {
	status, err := c.client.Status(context.Background())
	if err == nil {
		checkRoutes(c.t, status.Routes)
	}
	if err := c.Stop(); err != nil {
		c.t.Errorf("stop the cluster: %v", err)
	}
	for _, broken := range c.watch.stop() {
		c.t.Errorf("one writer: %s", broken)
	}
	c.relays.close()
	if c.t.Failed() {
		for _, name := range append(c.NodeNames(), localcluster.Control) {
			if p := c.Process(name); p != nil {
				c.t.Logf("the end of the log of %s:\n%s", name, p.Tail())
			}
		}
	}
}

func checkRoutes(t *testing.T, routes []cluster.Route) {
	t.Helper()
	seen := map[int]cluster.AppName{}
	for _, r := range routes {
		if other, twice := seen[r.External]; twice {
			t.Errorf("one route per port: %d leads to %s and to %s", r.External, other, r.Application)
		}
		seen[r.External] = r.Application
	}
}
