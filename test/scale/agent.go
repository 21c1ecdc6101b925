package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/sleep"
)

const (
	beatEvery = time.Second
	pollWait  = 5 * time.Second
	// probe begins the names of volumes that are made to see how long it takes until their node knows.
	probe = "probe-"
)

// An agent is one node's side of the conversation, as convergence.Agent leads it.
type agent struct {
	n       int
	control *client.Client
	ship    *ship

	up atomic.Bool // it has been told its assignment since it registered last

	told     *told // what it knows of what all nodes are told
	revision cluster.Revision

	changed  chan struct{} // its state
	mu       sync.Mutex
	state    cluster.NodeState
	reported wire.Heartbeat
}

func newAgent(n int, ship *ship, control *client.Client) *agent {
	return &agent{n: n, ship: ship, control: control, state: state(n, endpoint(n)), changed: make(chan struct{}, 1)}
}

// run lives until ctx ends.
func (a *agent) run(ctx context.Context) {
	defer a.control.Close()
	var all sync.WaitGroup
	all.Go(func() { a.report(ctx) })
	all.Go(func() { a.beat(ctx) })
	all.Go(func() { a.watch(ctx) })
	all.Wait()
}

func (a *agent) watch(ctx context.Context) {
	registered, failures := false, 0
	for ctx.Err() == nil {
		err := a.poll(ctx, &registered)
		if err == nil {
			failures = 0
			continue
		}
		registered = false
		failures++
		a.up.Store(false)
		a.mu.Lock()
		a.reported = wire.Heartbeat{}
		a.mu.Unlock()
		a.ship.failed(ctx, err)
		_ = sleep.For(ctx, sleep.Reconnect(string(nodeID(a.n)), failures))
	}
}

func (a *agent) poll(ctx context.Context, registered *bool) error {
	since := a.revision
	if !*registered {
		if err := a.control.Register(ctx, node(a.n)); err != nil {
			return err
		}
		*registered, since = true, 0
		a.reportAnew()
	}
	have := ""
	if since == 0 {
		a.told = a.ship.library.read(ctx, a.told, a == a.ship.agents[0])
		have = a.told.digest()
	}
	changes, changed, err := a.control.AssignmentChanges(ctx, nodeID(a.n), since, have, pollWait)
	if err != nil || !changed {
		return err
	}
	now, err := a.ship.library.onto(a.told, changes)
	if err != nil {
		return err
	}
	a.ship.noteRoute(a.told, now)
	a.told, a.revision = now, changes.Revision
	if !changes.Same {
		a.obey(changes.Volumes)
	}
	a.up.Store(true)
	return nil
}

// obey has at once all volumes that the node owns.
func (a *agent) obey(owned []cluster.OwnedVolume) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(owned) == len(a.state.Volumes) {
		return
	}
	a.state.Volumes = nil
	for _, v := range owned {
		if strings.HasPrefix(v.Volume.Name, probe) {
			a.ship.noteProbe(v.Volume.Name)
		}
		a.state.Volumes = append(a.state.Volumes, primary(v.Volume.ID, v.Ownership.Epoch))
	}
	a.wake()
}

func (a *agent) wake() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func (a *agent) reportAnew() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake()
}

// serve reports another endpoint of the node's application.
func (a *agent) serve(at string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Applications = state(a.n, at).Applications
	a.wake()
}

func (a *agent) report(ctx context.Context) {
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		}
		a.mu.Lock()
		a.state.Sequence++
		now := a.state
		now.Volumes = slices.Clone(now.Volumes)
		a.mu.Unlock()
		if err := a.control.Report(ctx, now); err != nil {
			failures++
			a.mu.Lock()
			a.reported = wire.Heartbeat{}
			a.mu.Unlock()
			a.ship.failed(ctx, err)
			_ = sleep.For(ctx, sleep.Reconnect(string(nodeID(a.n)), failures))
			a.reportAnew()
			continue
		}
		failures = 0
		a.mu.Lock()
		a.reported = wire.Heartbeat{Sequence: now.Sequence}
		a.mu.Unlock()
	}
}

func (a *agent) beat(ctx context.Context) {
	_ = sleep.For(ctx, beatEvery*time.Duration(a.n%1000)/1000) // they do not beat at once
	for sleep.For(ctx, beatEvery) == nil {
		a.mu.Lock()
		last := a.reported
		a.mu.Unlock()
		if last.Sequence == 0 {
			continue
		}
		err := a.control.Heartbeat(ctx, nodeID(a.n), last)
		if errors.Is(err, cluster.ErrStale) {
			a.reportAnew()
		}
		if err != nil {
			a.ship.failed(ctx, err)
			continue
		}
		a.ship.beats.Add(1)
	}
}
