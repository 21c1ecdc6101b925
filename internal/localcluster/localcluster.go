// Package localcluster runs a whole cluster on this machine, for `drover dev`, `drover demo` and
// the tests: a control service and one agent per node, each a process of its own with its own
// loopback address, data directory and identity.
//
//	c := &localcluster.Cluster{Binary: exe, Dir: dir, Nodes: 3}
//	err := c.Start(ctx)
//	defer c.Stop()
//	client, err := c.Client()
//
//	127.x.y.1  control
//	127.x.y.2  node a: proxy on every external port, transfer, gossip, applications
//	127.x.y.3  node b
//
// It needs no root. It is not a way to run Drover for real: all keys lie in one directory.
package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/convergence"
	"github.com/drover/drover/convergence/runtime/process"
	"github.com/drover/drover/internal/pki"
)

// Ports that the processes of the cluster listen on, each at its own address.
const (
	ControlPort  = 4523
	TransferPort = 4524
	GossipPort   = 7946
)

// A Cluster is the processes of one cluster. Binary, Dir and Nodes must be set before Start.
type Cluster struct {
	// Binary is the drover program.
	Binary string
	// Dir keeps everything. It is made if it does not exist, and never removed.
	Dir string
	// Nodes is how many agents there are, from 1 to 26; they are called a, b, c ...
	Nodes int
	// Network is the first three bytes of the addresses, such as "127.77.0"; empty chooses one
	// that nobody uses.
	Network string
	// Backend and Runtime are those of every agent; empty means dir and process.
	Backend, Runtime string
	// AgentFlags are added to the command line of every agent.
	AgentFlags []string
	// Advertise, if set, replaces the address under which a node's transfer server is known to
	// the others, and the address under which a node finds the control service: tests put
	// relays there.
	Advertise func(node string) (transfer, control string)
	// On, if set, says where a process runs, instead of at a loopback address of this machine.
	On func(name string) Place

	lock      *os.File // nil: it does not run
	mu        sync.Mutex
	processes map[string]*Process
	ids       map[string]cluster.NodeID
}

// A Place is where a process of a cluster runs.
type Place struct {
	// Address is its IP address.
	Address string
	// Data is the data directory of a node.
	Data string
	// Command makes a command that runs there.
	Command func(name string, args ...string) *exec.Cmd
	// Flags are added to the command line of a node's agent.
	Flags []string
	// Send, if set, copies files and directories of this machine to the same places there, which
	// is another machine.
	Send func(paths ...string) error
}

// Control is the name of the control service among the processes.
const Control = "control"

// NodeNames returns the names of the nodes in order.
func (c *Cluster) NodeNames() []string {
	names := make([]string, c.Nodes)
	for i := range names {
		names[i] = string(rune('a' + i))
	}
	return names
}

// Address returns the address of a node or of the control service, without a port.
func (c *Cluster) Address(name string) string {
	if c.On != nil {
		return c.On(name).Address
	}
	if name == Control {
		return c.Network + ".1"
	}
	return fmt.Sprintf("%s.%d", c.Network, int(name[0]-'a')+2)
}

// ControlAddress is where the HTTP API listens.
func (c *Cluster) ControlAddress() string {
	return fmt.Sprintf("%s:%d", c.Address(Control), ControlPort)
}

// PKI is the directory with the certificate of the authority and that of the user.
func (c *Cluster) PKI() string { return filepath.Join(c.Dir, "pki") }

// NodeDir is the data directory of a node.
func (c *Cluster) NodeDir(name string) string {
	if c.On != nil {
		return c.On(name).Data
	}
	return filepath.Join(c.Dir, "node-"+name)
}

// NodeID returns the identity of a node.
func (c *Cluster) NodeID(name string) cluster.NodeID { return c.ids[name] }

// Client returns a client of the control service with the user's certificate.
func (c *Cluster) Client() (*client.Client, error) {
	return client.FromFiles(c.ControlAddress(), c.PKI(), "user")
}

// Start makes what is missing below Dir and starts all processes. It returns when every node is
// in touch with the control service.
func (c *Cluster) Start(ctx context.Context) error {
	if c.Nodes < 1 || c.Nodes > 26 {
		return fmt.Errorf("%w: %s: want 1 to 26", cluster.ErrInvalid, cluster.Count(c.Nodes, "node"))
	}
	if err := c.takeDir(); err != nil {
		return err
	}
	if err := c.start(ctx); err != nil {
		return errors.Join(err, c.Stop())
	}
	return nil
}

// takeDir makes the directory this cluster's alone, until it stops: two would end each other's applications.
func (c *Cluster) takeDir() error {
	if err := os.MkdirAll(c.Dir, 0o711); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = fmt.Errorf("%w: another cluster runs in %s", cluster.ErrConflict, c.Dir)
		return errors.Join(cluster.WithHint(err, "end it first, or choose another directory with --data"), lock.Close())
	}
	c.lock = lock
	return nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.makeDirs(); err != nil {
		return err
	}
	if err := c.chooseNetwork(); err != nil {
		return err
	}
	if err := c.makeIdentities(); err != nil {
		return err
	}
	if err := c.send(); err != nil {
		return err
	}
	for _, name := range append([]string{Control}, c.NodeNames()...) {
		if err := c.Run(name); err != nil {
			return err
		}
	}
	return c.WaitLive(ctx)
}

// makeDirs makes the directories so that applications which run as other users can pass through
// them to their volumes, also where one was made for its owner alone, as temporary ones are.
func (c *Cluster) makeDirs() error {
	dirs := []string{c.Dir}
	for _, name := range c.NodeNames() {
		dirs = append(dirs, c.NodeDir(name))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// makeIdentities makes the authority and a certificate for each node, unless they are there.
func (c *Cluster) makeIdentities() error {
	authority, err := pki.Init(c.PKI(), "local", c.Address(Control), "localhost")
	if err != nil {
		return err
	}
	c.ids = map[string]cluster.NodeID{}
	for _, name := range c.NodeNames() {
		dir := filepath.Join(c.NodeDir(name), "pki")
		id, err := pki.NodeIDIn(dir)
		if errors.Is(err, cluster.ErrNotFound) {
			id, err = cluster.NodeID(cluster.NewUUID()), nil
		}
		if err == nil {
			err = authority.Node(dir, id)
		}
		if err != nil {
			return fmt.Errorf("make the identity of node %s: %w", name, err)
		}
		c.ids[name] = id
	}
	return nil
}

// send brings the program and the identities of the nodes to where they run.
func (c *Cluster) send() error {
	if c.On == nil {
		return nil
	}
	for _, name := range c.NodeNames() {
		if place := c.On(name); place.Send != nil {
			if err := place.Send(c.Binary, place.Data); err != nil {
				return fmt.Errorf("send what node %s needs: %w", name, err)
			}
		}
	}
	return nil
}

// Run starts one process that does not run, with more variables in its environment.
func (c *Cluster) Run(name string, environment ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.processes[name]; p != nil && p.Alive() {
		return fmt.Errorf("%w: %s runs already", cluster.ErrExists, name)
	}
	command := exec.Command
	if c.On != nil {
		command = c.On(name).Command
	}
	p, err := startProcess(command(c.Binary, c.arguments(name)...), filepath.Dir(c.Binary), environment, filepath.Join(c.Dir, name+".log"))
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	if c.processes == nil {
		c.processes = map[string]*Process{}
	}
	c.processes[name] = p
	return nil
}

func (c *Cluster) arguments(name string) []string {
	if name == Control {
		return []string{"control", "--data", filepath.Join(c.Dir, "control"), "--pki", c.PKI(), "--listen", c.ControlAddress()}
	}
	address, control := c.Address(name), c.ControlAddress()
	args := []string{"agent", "--name", name, "--address", address, "--data", c.NodeDir(name),
		"--pki", filepath.Join(c.NodeDir(name), "pki"), "--listen-transfer", fmt.Sprintf("%s:%d", address, TransferPort),
		"--listen-gossip", fmt.Sprintf("%s:%d", address, GossipPort)}
	if was := convergence.LastAddress(c.NodeDir(name), c.ids[name]); was != "" && was != address {
		args = append(args, "--former-address", was) // another network was chosen
	}
	if c.Backend != "" {
		args = append(args, "--backend", c.Backend)
	}
	if c.Runtime != "" {
		args = append(args, "--runtime", c.Runtime)
	}
	if c.Advertise != nil {
		transfer, via := c.Advertise(name)
		args, control = append(args, "--advertise-transfer", transfer), via
	}
	if c.On != nil {
		args = append(args, c.On(name).Flags...)
	}
	return append(append(args, "--control", control), c.AgentFlags...)
}

// Process returns the process of that name, or nil.
func (c *Cluster) Process(name string) *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[name]
}

// Kill ends a process by SIGKILL and waits until it is gone. Applications of a node live on.
func (c *Cluster) Kill(name string) {
	if p := c.Process(name); p != nil {
		p.Kill()
	}
}

// WaitLive waits until every node whose process runs is in touch with the control service.
func (c *Cluster) WaitLive(ctx context.Context) error {
	control, err := c.Client()
	if err != nil {
		return err
	}
	var last error
	for {
		if missing := c.missing(ctx, control, &last); missing == "" {
			return nil
		} else if last == nil {
			last = fmt.Errorf("%s is not in touch yet", missing)
		}
		for _, name := range append([]string{Control}, c.NodeNames()...) {
			if p := c.Process(name); p != nil && !p.Alive() {
				return fmt.Errorf("%s has ended; the last lines of %s:\n%s", name, p.LogFile, p.Tail())
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the cluster: %w; %w", ctx.Err(), last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// missing returns the first node that is not in touch, or "".
func (c *Cluster) missing(ctx context.Context, control *client.Client, why *error) string {
	nodes, err := control.Nodes(ctx)
	if *why = err; err != nil {
		return Control
	}
	live := map[cluster.NodeID]bool{}
	for _, n := range nodes {
		live[n.Node.ID] = n.Live && n.State.Era != "" // it has reported: without that no volume gets an owner
	}
	for _, name := range c.NodeNames() {
		if p := c.Process(name); p != nil && p.Alive() && !live[c.ids[name]] {
			return "node " + name
		}
	}
	return ""
}

// Stop ends the agents, then the applications that are left, then the control service.
func (c *Cluster) Stop() error {
	var errs []error
	for _, name := range append(c.NodeNames(), Control) {
		if p := c.Process(name); p != nil {
			p.Stop(10 * time.Second)
		}
		if name != Control {
			errs = append(errs, c.killApplications(name))
		}
	}
	if c.lock != nil {
		errs = append(errs, c.lock.Close())
		c.lock = nil
	}
	return errors.Join(errs...)
}

// killApplications ends what a node's agent left running, by asking each to stop first.
func (c *Cluster) killApplications(name string) error {
	dir := filepath.Join(c.NodeDir(name), "runtime")
	if _, err := os.Stat(dir); err != nil || c.Runtime == "docker" {
		return nil // containers end with their engine, which is not ours
	}
	r, err := process.Open(process.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	instances, err := r.Instances(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range instances {
		if i.Running && r.Stop(ctx, i.Name) != nil {
			errs = append(errs, r.Kill(ctx, i.Name))
		}
	}
	return errors.Join(errs...)
}
