package docker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// A watch looks at the health of one run of a container.
type watch struct {
	pid     int
	cancel  context.CancelFunc
	healthy bool // under the runtime's mu
	// address is where the application is on the engine's bridge; invalid until that is known.
	address netip.Addr
}

// watched returns whether a running container is healthy, and begins to watch it if nobody does.
func (r *Runtime) watched(c container.InspectResponse) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.watches[c.ID]
	if w != nil && w.pid == c.State.Pid {
		return w.healthy
	}
	if w != nil {
		w.cancel()
	}
	ctx, cancel := context.WithCancel(r.ctx)
	w = &watch{pid: c.State.Pid, cancel: cancel}
	r.watches[c.ID] = w
	made := readLabels(c.Config.Labels)
	r.tasks.Go(func() {
		defer cancel()
		runtime.WatchHealth(ctx, made.health, func(ctx context.Context) error { return r.check(ctx, w, c.ID, made) }, func(unhealthy error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if w.healthy != (unhealthy == nil) {
				w.healthy = unhealthy == nil
				r.signal()
			}
		})
	})
	return false
}

func (r *Runtime) unwatch(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.watches[id]; w != nil {
		w.cancel()
		delete(r.watches, id)
	}
}

// check returns nil if every port accepts and the health check, if there is one, passes. In this
// order: a look at a port costs next to nothing, a process in a container a good part of a start.
func (r *Runtime) check(ctx context.Context, w *watch, id string, made made) error {
	if err := r.accepts(ctx, w, made); err != nil || made.health == nil || len(made.health.Command) == 0 {
		return err
	}
	return r.exec(ctx, id, made.health.Command)
}

// accepts returns nil if every port accepts connections.
func (r *Runtime) accepts(ctx context.Context, w *watch, made made) error {
	if len(made.endpoints) == 0 {
		return nil
	}
	if !w.address.IsValid() {
		var err error
		if w.address, err = r.bridgeAddress(ctx, made.name); err != nil {
			return err
		}
	}
	for internal := range made.endpoints {
		// The published port would accept whether anybody listens behind it or not.
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(w.address.String(), strconv.Itoa(internal)))
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

// bridgeAddress returns where the application is on the engine's bridge.
func (r *Runtime) bridgeAddress(ctx context.Context, name cluster.AppName) (netip.Addr, error) {
	c, err := r.engine.ContainerInspect(ctx, r.sandboxName(name), client.ContainerInspectOptions{})
	if err != nil {
		return netip.Addr{}, r.kind(err)
	}
	if c.Container.NetworkSettings != nil {
		for _, n := range c.Container.NetworkSettings.Networks {
			if n.IPAddress.IsValid() {
				return n.IPAddress, nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("the network of %s: %w: no address", name, cluster.ErrNotFound)
}
