// Package docker runs applications as containers of the host's Docker engine.
//
//	r, err := docker.Open(ctx, docker.Options{Dir: "/var/lib/drover/runtime"})
//	err = r.Create(ctx, spec)
//	err = r.Start(ctx, "db")
//
// An application is two containers. The sandbox holds the network: the address on the engine's
// bridge, the published ports, the names that links lead to. It does nothing and is started when
// the application is created, because making a network is most of what a start costs. The
// application's own container joins it, so that its start is short: clients wait for it in a move.
//
//	drover-db           the application; labels drover.application, drover.volume, drover.epoch
//	drover-db.sandbox   its network
//
// Containers outlive the agent. A new Runtime finds them by their labels, and by a record per
// container whether it was Drover that ended it:
//
//	Dir/<container id>.json
//
// What an image declares as VOLUME and the application's volume does not cover is a volume of the
// engine with a name that follows from the application and the path, drover-db.data-1a2b3c: the
// next container of the application has it too. See own.go.
//
// The engine never restarts a container by itself: the restart policy is the agent's to carry out,
// which knows whether the application still belongs here.
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// Options are how to reach the engine and what is whose.
type Options struct {
	// Host is the engine's address, such as unix:///run/docker.sock; empty is what the
	// environment says, as for the docker command.
	Host string
	// Dir keeps a record per container.
	Dir string
	// Prefix tells the containers of agents apart that share an engine: drover.
	Prefix string
	// Sandbox is the program of sandboxes, a static one which waits when it is called with the
	// argument "sandbox": this very program.
	Sandbox string
	// Patience is how long a registry may be silent before an image counts as not to be had: 15 s.
	Patience time.Duration
	// Log may be nil.
	Log *slog.Logger
}

// A Runtime runs containers. It implements runtime.Runtime and runtime.Images.
type Runtime struct {
	o       Options
	engine  *client.Client
	log     *slog.Logger
	boot    string
	changed chan struct{} // has room for one
	ctx     context.Context
	cancel  context.CancelFunc
	tasks   sync.WaitGroup

	made struct {
		sync.Mutex
		image string // of sandboxes; empty: not made yet
	}

	mu      sync.Mutex
	watches map[string]*watch // of running containers, by id
}

// Open connects to the engine, which need not answer yet: at the start of a host it may wait, in turn,
// for volumes that this node's agent opens. The caller ends with Close.
func Open(ctx context.Context, o Options) (*Runtime, error) {
	o.Prefix, o.Patience = cmp.Or(o.Prefix, "drover"), cmp.Or(o.Patience, 15*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Sandbox == "" {
		var err error
		if o.Sandbox, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	engine, err := connect(o.Host)
	if err != nil {
		return nil, err
	}
	r := &Runtime{o: o, engine: engine, log: o.Log, boot: bootID(), changed: make(chan struct{}, 1), watches: map[string]*watch{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if err := r.answers(ctx); err != nil {
		r.log.Warn("no applications are looked after before the engine answers", "error", err)
	}
	r.tasks.Go(r.followEvents)
	// Made before an application arrives, whose move waits for it.
	r.tasks.Go(func() {
		if _, err := r.sandboxImage(); err != nil && r.ctx.Err() == nil {
			r.log.Warn("the image of sandboxes is not made yet; it is when an application needs it", "error", err)
		}
	})
	return r, nil
}

// Close ends the watching of containers, which run on.
func (r *Runtime) Close() error {
	r.cancel()
	r.tasks.Wait()
	return r.engine.Close()
}

// Name is "docker".
func (r *Runtime) Name() string { return "docker" }

// Changed implements runtime.Runtime.
func (r *Runtime) Changed() <-chan struct{} { return r.changed }

func (r *Runtime) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// pingWait is how long an engine may take to say that it is there. One that starts listens long before
// it answers.
const pingWait = 3 * time.Second

// answers returns cluster.ErrUnavailable if the engine does not answer at all.
func (r *Runtime) answers(ctx context.Context) error {
	ping, cancel := context.WithTimeout(ctx, pingWait)
	defer cancel()
	_, err := r.engine.Ping(ping, client.PingOptions{})
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: the Docker engine does not answer: %w", cluster.ErrUnavailable, err)
}

// Instances implements runtime.Runtime. An engine that answers for one container and hangs for another
// must not keep the whole node waiting: then it counts as one that does not answer.
func (r *Runtime) Instances(ctx context.Context) ([]runtime.Instance, error) {
	bounded, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	seen, err := r.instances(bounded)
	if err != nil && ctx.Err() == nil && !errors.Is(err, cluster.ErrUnavailable) {
		err = fmt.Errorf("%w: the Docker engine: %s", cluster.ErrUnavailable, cluster.Message(err))
	}
	return seen, err
}

// listWait bounds a look at all containers.
const listWait = 15 * time.Second

func (r *Runtime) instances(ctx context.Context) ([]runtime.Instance, error) {
	if err := r.answers(ctx); err != nil {
		return nil, err
	}
	list, err := r.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: r.mine(roleApplication)})
	if err != nil {
		return nil, r.kind(err)
	}
	seen := make([]runtime.Instance, 0, len(list.Items))
	for _, item := range list.Items {
		c, err := r.engine.ContainerInspect(ctx, item.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue // removed since
		}
		if err != nil {
			return nil, r.kind(err)
		}
		seen = append(seen, r.instance(c.Container))
	}
	slices.SortFunc(seen, func(a, b runtime.Instance) int { return cmp.Compare(a.Name, b.Name) })
	return seen, nil
}

// mine selects the containers of this agent with a role.
func (r *Runtime) mine(role string) client.Filters {
	return client.Filters{}.Add("label", labelPrefix+"="+r.o.Prefix, labelRole+"="+role)
}

// instance is a container as the contract shows it.
func (r *Runtime) instance(c container.InspectResponse) runtime.Instance {
	made := readLabels(c.Config.Labels)
	i := runtime.Instance{Name: made.name, Volume: made.volume, Epoch: made.epoch, Fingerprint: made.fingerprint,
		Endpoints: made.endpoints, Keeps: keeps(c), Running: c.State.Running, Started: moment(c.State.StartedAt)}
	record := r.record(c.ID)
	if i.Running && !(record.Asked && gone(c.State.Pid)) {
		i.Healthy = r.watched(c)
		return i
	}
	r.unwatch(c.ID)
	if i.Running { // the engine has not noticed yet
		i.Running, i.Asked, i.Ended, i.Reason = false, true, time.Now(), "stopped"
		return i
	}
	i.Ended = moment(c.State.FinishedAt)
	if i.Ended.IsZero() {
		return i
	}
	i.ExitStatus, i.Reason = c.State.ExitCode, endReason(c.State)
	i.Asked = record.Asked || record.Boot != r.boot
	return i
}

// find returns the application's container, or cluster.ErrNotFound.
func (r *Runtime) find(ctx context.Context, name cluster.AppName) (container.InspectResponse, error) {
	c, err := r.engine.ContainerInspect(ctx, r.containerName(name), client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return c.Container, fmt.Errorf("application %s: %w on this node", name, cluster.ErrNotFound)
	}
	return c.Container, r.kind(err)
}

// kind gives an error of the engine its kind.
func (r *Runtime) kind(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case client.IsErrConnectionFailed(err), errdefs.IsUnavailable(err):
		return fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	case errdefs.IsInvalidArgument(err):
		return fmt.Errorf("%w: %w", cluster.ErrRefused, err)
	default:
		return err
	}
}

// moment reads a time of the engine, for which the year 1 means never.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}
