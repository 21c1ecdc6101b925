package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/convergence"
	"github.com/drover/drover/convergence/agentsocket"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/membership"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/runtime/docker"
	"github.com/drover/drover/convergence/runtime/process"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/internal/pki"
	"github.com/drover/drover/proxy"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/btrfs"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/plugin"
	"github.com/drover/drover/volume/transfer/ssh"
	"github.com/drover/drover/volume/zfs"
)

type agentOptions struct {
	stdio
	name, address, formerAddress                 string
	data, pki, control                           string
	backend, pool, runtime, mountRoot            string
	listenTransfer, listenGossip, private        string
	dockerHost                                   string
	plugin                                       bool
	pluginSocket                                 string
	advertiseTransfer                            string
	labels                                       map[string]string
	handoff                                      handoff.Options
	overBudget                                   string
	grace, trashGrace, holdPatience, drainPeriod time.Duration
	logging                                      logOptions
}

func (o *agentOptions) addFlags(f *pflag.FlagSet) {
	hostname, _ := os.Hostname() // only a default
	f.StringVar(&o.name, "name", hostname, "`NAME` of this node")
	f.StringVar(&o.address, "address", "", "`IP` address that clients and other nodes reach this node at (required)")
	f.StringVar(&o.formerAddress, "former-address", "", "`IP` address that this same host had before, after it was given another one")
	f.StringVar(&o.control, "control", "localhost:4523", "`HOST:PORT` of the control service")
	f.StringVar(&o.data, "data", "/var/lib/drover", "`DIR`ectory of the node's state, and of its volumes")
	f.StringVar(&o.pki, "pki", "/etc/drover/pki", "`DIR`ectory with cluster.crt, node.crt, node.key and gossip.key")
	f.StringVar(&o.backend, "backend", "dir", "`BACKEND` that stores volumes: btrfs, dir, zfs")
	f.StringVar(&o.pool, "pool", "", "`DATASET` below which the zfs backend stores volumes, such as tank/drover")
	f.StringVar(&o.runtime, "runtime", "process", "`RUNTIME` that runs applications: docker, process")
	f.StringVar(&o.dockerHost, "docker-host", "", "`ADDRESS` of the Docker engine (default: as for the docker command)")
	f.BoolVar(&o.plugin, "plugin", false, "run the volume plugin of the Docker engine as well, in a process of its own")
	f.StringVar(&o.pluginSocket, "plugin-socket", plugin.Socket, "`PATH` where the engine looks for the plugin")
	f.StringVar(&o.private, "private-address", "", "`IP` address, between nodes, at which applications listen for proxies alone (default: --address)")
	f.StringVar(&o.mountRoot, "mount-root", "", "`DIR`ectory where volumes appear by id; such as /flocker")
	f.StringVar(&o.listenTransfer, "listen-transfer", "", "`ADDRESS` of the transfer server (default: the node's, port 4524)")
	f.StringVar(&o.listenGossip, "listen-gossip", "", "`ADDRESS` of membership (default: the node's, port 7946)")
	f.StringVar(&o.advertiseTransfer, "advertise-transfer", "", "`ADDRESS` that others use for the transfer server, if it is another one")
	f.StringToStringVar(&o.labels, "label", nil, "`KEY=VALUE` labels of this node")
	duration(f, &o.handoff.PauseBudget, "pause-budget", 2*time.Second, "how long the last round of a move may take")
	f.StringVar(&o.overBudget, "over-budget", "cutover", "what a move does when rounds stay longer than the budget: cutover if clients can be held for as long, wait or fail")
	count64(f, &o.handoff.BytesPerSecond, "rate-limit", 0, "`BYTES` per second that pre-copy rounds may take (0: no limit)")
	duration(f, &o.holdPatience, "hold-patience", 30*time.Second, "how long the proxy keeps new connections waiting; a move that needs longer is not begun")
	duration(f, &o.drainPeriod, "drain", 10*time.Second, "how long open connections to a former endpoint may go on")
	duration(f, &o.grace, "grace", 24*time.Hour, "how long the copy of a former owner is kept")
	duration(f, &o.trashGrace, "trash-grace", 7*24*time.Hour, "how long a removed copy can be brought back")
	o.logging.addFlags(f)
}

func newAgent(io_ stdio) *cobra.Command {
	o := agentOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "agent",
		Short: "Run the agent of this host: convergence, proxy, transfer server",
		Long: `Run the agent of this host. It keeps going while the control service is away, and applications
keep going when it ends.`,
	}, &o, runAgent)
}

// complete checks the options and fills in what follows from others.
func (o *agentOptions) complete() error {
	if net.ParseIP(o.address) == nil {
		return fmt.Errorf("%w: --address %q: want the IP address of this node", cluster.ErrInvalid, o.address)
	}
	if o.private != "" && net.ParseIP(o.private) == nil {
		return fmt.Errorf("%w: --private-address %q: want an IP address of this node", cluster.ErrInvalid, o.private)
	}
	if o.listenTransfer == "" {
		o.listenTransfer = net.JoinHostPort(o.address, "4524")
	}
	if o.listenGossip == "" {
		o.listenGossip = net.JoinHostPort(o.address, "7946")
	}
	if o.advertiseTransfer == "" {
		o.advertiseTransfer = o.listenTransfer
	}
	policies := map[string]handoff.Policy{"cutover": handoff.CutOver, "wait": handoff.Wait, "fail": handoff.Fail}
	policy, ok := policies[o.overBudget]
	if !ok {
		return fmt.Errorf("%w: --over-budget %q: want cutover, wait or fail", cluster.ErrInvalid, o.overBudget)
	}
	o.handoff.OverBudget, o.handoff.HoldPatience = policy, o.holdPatience
	data, err := filepath.Abs(o.data) // it is told to processes that run elsewhere
	if err != nil {
		return err
	}
	o.data = data
	mode := os.FileMode(0o700)
	if o.runtime == "process" {
		mode = 0o711 // applications of other users pass through it
	}
	return durable.MkdirAll(o.data, mode)
}

// runAgent wires the parts of an agent together and runs them until ctx ends.
func runAgent(ctx context.Context, o agentOptions) error {
	if err := o.complete(); err != nil {
		return err
	}
	id, err := pki.NodeIDIn(o.pki)
	if err != nil {
		return err
	}
	log := o.logging.logger(o.err).With("node", o.name)
	routes := &proxy.Proxy{Address: o.address, Patience: o.holdPatience, Drain: o.drainPeriod, Log: log}
	defer routes.Close(canceled())
	if err := routes.Apply(convergence.LastRoutes(o.data, id)); err != nil {
		log.Error("not every route is in force", "error", err)
	}
	backend, closeBackend, err := o.openBackend(log)
	if err != nil {
		return err
	}
	defer closeBackend()
	apps, closeRuntime, err := o.openRuntime(ctx, log)
	if err != nil {
		return err
	}
	defer closeRuntime()
	key, err := ssh.LoadOrCreateKey(filepath.Join(o.data, "transfer.key"))
	if err != nil {
		return err
	}
	control, err := client.FromFiles(o.control, o.pki, pki.Node)
	if err != nil {
		return err
	}
	members, err := o.join(id, log)
	if err != nil {
		return err
	}
	defer leave(members, log)
	engine, err := docker.NewEngine(o.dockerHost)
	if err != nil {
		return err
	}
	defer engine.Close()

	agent := &convergence.Agent{
		Node: cluster.Node{ID: id, Name: o.name, Address: o.address, FormerAddress: o.formerAddress, TransferAddress: o.advertiseTransfer,
			TransferKey: ssh.PublicKey(key), GossipAddress: o.listenGossip, Labels: o.labels, Era: era(), Seat: seat(o.data),
			Backend: backend.Properties().Name, Capabilities: volume.Capabilities(backend), Features: backend.Properties().Features,
			TrashGrace: o.trashGrace, Runtime: apps.Name(), Version: version, Streams: volume.Streams},
		Backend: backend, Runtime: apps, Transport: &ssh.Transport{Key: key, Log: log, Spool: o.data}, Control: control,
		Routes: routes, Members: members, Engine: engine, Dir: o.data, Log: log, Private: o.private,
		Handoff: o.handoff, Grace: o.grace, TrashGrace: o.trashGrace,
	}
	listener, err := net.Listen("tcp", o.listenTransfer)
	if err != nil {
		return err
	}
	if err := agent.Start(); err != nil {
		return err
	}
	inbound := agent.Receiver()
	server := &ssh.Server{Key: key, Backend: inbound.Inbound(), Peers: inbound.PeerOf, Permit: inbound.Permit, Images: inbound,
		Names: inbound.VolumeNames, Log: log}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error { return agent.Run(ctx) })
	group.Go(func() error { return answerPlugin(ctx, o.data, agent, log) })
	if o.plugin {
		group.Go(func() error { return keepPlugin(ctx, o, log) })
	}
	log.Info("the agent is up", "id", id, "address", o.address, "backend", o.backend, "runtime", o.runtime)
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// answerPlugin answers the plugin of the container engine. An agent that cannot is of use all the same.
func answerPlugin(ctx context.Context, dir string, agent *convergence.Agent, log *slog.Logger) error {
	if err := agentsocket.Serve(ctx, dir, agent.Mounts(), log); ctx.Err() == nil {
		log.Error("the Docker volume plugin cannot reach this agent", "error", err)
	}
	<-ctx.Done()
	return ctx.Err()
}

// openBackend opens the way that this node stores volumes.
func (o *agentOptions) openBackend(log *slog.Logger) (volume.Backend, func() error, error) {
	// Containers get their volumes mounted; a process has to reach its own by the path.
	private := o.runtime == "docker"
	switch o.backend {
	case "dir":
		b, err := dir.Open(filepath.Join(o.data, "volumes"), dir.Options{MountRoot: o.mountRoot, Private: private, Log: log})
		if err != nil {
			return nil, nil, fmt.Errorf("open the volumes: %w", err)
		}
		return b, b.Shut, nil
	case "btrfs":
		b, err := btrfs.Open(filepath.Join(o.data, "volumes"), btrfs.Options{MountRoot: o.mountRoot, Private: private, Log: log})
		if err != nil {
			return nil, nil, fmt.Errorf("open the volumes: %w", err)
		}
		return b, b.Shut, nil
	case "zfs":
		b, err := zfs.Open(o.pool, zfs.Options{Dir: filepath.Join(o.data, "volumes"), MountRoot: o.mountRoot, Private: private, Log: log})
		if err != nil {
			return nil, nil, fmt.Errorf("open the volumes: %w", err)
		}
		return b, b.Shut, nil
	default:
		return nil, nil, fmt.Errorf("%w: --backend %q: want btrfs, dir or zfs", cluster.ErrUnsupported, o.backend)
	}
}

// openRuntime opens the way that this node runs applications.
func (o *agentOptions) openRuntime(ctx context.Context, log *slog.Logger) (runtime.Runtime, func() error, error) {
	switch o.runtime {
	case "docker":
		r, err := docker.Open(ctx, docker.Options{Host: o.dockerHost, Dir: filepath.Join(o.data, "runtime"), Log: log})
		if err != nil {
			return nil, nil, fmt.Errorf("open the runtime: %w", err)
		}
		return r, r.Close, nil
	case "process":
		r, err := process.Open(process.Options{Dir: filepath.Join(o.data, "runtime"), Log: log})
		if err != nil {
			return nil, nil, fmt.Errorf("open the runtime: %w", err)
		}
		return r, r.Close, nil
	default:
		return nil, nil, fmt.Errorf("%w: --runtime %q: want docker or process", cluster.ErrUnsupported, o.runtime)
	}
}

func (o *agentOptions) join(id cluster.NodeID, log *slog.Logger) (*membership.Membership, error) {
	key, err := pki.GossipKey(o.pki)
	if err != nil {
		return nil, err
	}
	return membership.Start(membership.Options{ID: id, Bind: o.listenGossip, Key: key, Log: log})
}

func leave(m *membership.Membership, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := m.Leave(ctx); err != nil {
		log.Warn("could not say goodbye to the other nodes", "error", err)
	}
}

// era identifies this boot of the host.
func era() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return cluster.NewUUID() // then every start counts as a boot, which is safe
	}
	return strings.TrimSpace(string(b))
}

// seat identifies the directory of this agent in this boot of the host, which a copy of it does not; empty if that
// cannot be told.
func seat(dir string) string {
	var is syscall.Stat_t
	if syscall.Stat(dir, &is) != nil {
		return ""
	}
	return fmt.Sprintf("%s %d:%d", era(), is.Dev, is.Ino)
}

// canceled is for closing what should not wait for anything.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
