// Package convergence is the agent of one node: it makes the node match its assignment of the
// configuration, and tells the control service what it sees.
//
//	a := &convergence.Agent{Node: node, Backend: b, Runtime: r, Control: client, ...}
//	err := a.Start()
//	err = a.Run(ctx)
//
//	control --assignment--> watch --+--> routes --> proxy
//	                           v
//	   observe -> plan.Diff -> executor -> report --state--> control
//	      ^                       |
//	      +------ again ----------+
//
// It is level-triggered: one pass, at start, on every change and on a tick, that looks at
// the world and does what is missing. What an earlier pass did, or an earlier process, is never
// relied upon. It goes on while the control service is away, by the last assignment that it got.
//
// The package does not decide who owns a volume or where an application runs, and stores nothing
// that could not be observed again, but for two things: that a commit was asked for, and that a volume was made.
package convergence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/applogs"
	"github.com/drover/drover/convergence/executor"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/mounts"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/receiver"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// Control is what an agent needs of the control service. Package client implements it.
type Control interface {
	handoff.Control
	receiver.Control
	applogs.Control
	Register(ctx context.Context, n cluster.Node) error
	Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision, wait time.Duration) (cluster.Assignment, bool, error)
	Report(ctx context.Context, s cluster.NodeState) error
	Heartbeat(ctx context.Context, node cluster.NodeID, b wire.Heartbeat) error
	Record(ctx context.Context, e cluster.Event) error
}

// Router obeys routes. A proxy.Proxy is one.
type Router interface {
	Apply(routes []cluster.Route) error
}

// Members says who is there. A membership.Membership is one. It wakes the agent up and is shown
// to people; all it decides is whether an agent that starts waits for the control service.
type Members interface {
	SetPeers(peers map[cluster.NodeID]string)
	// Missing are those of the peers that do not take part as far as this node sees; none is not nil.
	Missing() []cluster.NodeID
	// Rival is the address of another host that lately took part as this node; empty if none did.
	Rival() string
	Changed() <-chan struct{}
}

// An Agent converges one node. The fields up to Log must be set.
type Agent struct {
	Node      cluster.Node
	Backend   volume.Backend
	Runtime   runtime.Runtime
	Transport transfer.Transport
	Control   Control
	Routes    Router
	// Dir keeps the journal and the last assignment. Only this agent uses it.
	Dir string
	Log *slog.Logger

	// Private is the address at which applications listen for proxies; empty: the node's.
	Private string
	// Members may be nil.
	Members Members
	// Engine is the container engine whose volume plugin asks this agent; it may be nil.
	Engine  mounts.Engine
	Handoff handoff.Options
	// Grace is how long the copy of a former owner is kept: 24 h.
	Grace time.Duration
	// TrashGrace is how long a removed copy can be brought back: 7 days.
	TrashGrace time.Duration
	// Clock is the host's clock, by which backends date what they do, and which may be set at any time:
	// time.Now. The agent waits by another one.
	Clock func() time.Time

	// Each of these has a lock of its own, if it needs one, and none is called under another's.
	receiver *receiver.Receiver
	mounts   *mounts.Host
	logs     *applogs.Answerer
	executor *executor.Executor
	journal  *handoff.FileJournal
	attempts attempts
	restarts restarts
	glances  glances
	standing standing
	made     made
	carried  carried
	thrown   thrown
	shown    shown
	telling  sync.WaitGroup

	wake   signal
	report signal
	keep   signal

	mu   sync.Mutex // nothing is waited for under it
	told told
}

// told is what the agent has heard, and has done with that.
type told struct {
	assignment cluster.Assignment
	known      bool // assignment is set
	// fresh: it is of this life of the agent.
	fresh bool
	// acted is the revision of what it was asked to do when it last did all that was missing.
	acted cluster.Revision
	// anew counts how often all was to be reported again: the control service may know none of it.
	anew int
	// reported is the last state that the control service has taken in, and until when it was right.
	reported wire.Heartbeat
	// conflicts are those of the last plan.
	conflicts []cluster.Conflict
}

// A signal wakes its one reader. It has room for one.
type signal chan struct{}

func (s signal) send() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// wall is what the host's clock shows.
func (a *Agent) wall() time.Time {
	if a.Clock != nil {
		return a.Clock().Round(0)
	}
	return time.Now().Round(0)
}

func (a *Agent) grace() time.Duration {
	if a.Grace > 0 {
		return a.Grace
	}
	return 24 * time.Hour
}

func (a *Agent) trashGrace() time.Duration {
	if a.TrashGrace > 0 {
		return a.TrashGrace
	}
	return 7 * 24 * time.Hour
}

// Start reads what the agent knew before it was restarted. It comes first, and once.
func (a *Agent) Start() error {
	a.wake, a.report, a.keep = make(signal, 1), make(signal, 1), make(signal, 1)
	a.receiver = &receiver.Receiver{Node: a.Node, Backend: a.Backend, Runtime: a.Runtime, Control: a.Control, Record: a.record, Log: a.Log}
	a.logs = &applogs.Answerer{Node: a.Node, Runtime: a.Runtime, Control: a.Control, Log: a.Log}
	a.executor = &executor.Executor{Actions: a.actions(), Log: a.Log, Ended: a.wake.send}
	var err error
	if a.journal, err = handoff.OpenJournal(a.Dir); err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	if err := a.made.open(a.Dir); err != nil {
		// It is written whole or not at all. Going on without it could mean an empty volume.
		return fmt.Errorf("read which volumes were made here: %w", err)
	}
	if err := a.openMounts(); err != nil {
		return err
	}
	assignment, ok, err := loadAssignment(a.Dir)
	if err != nil {
		// An assignment that cannot be read is as good as none: the control service has it.
		a.Log.Warn("the last assignment is not readable", "error", err)
	}
	if ok && assignment.Node == a.Node.ID {
		if err := a.standing.begin(a.Dir, a.Node); err != nil {
			a.Log.Warn("where this node was is not readable", "error", err)
		}
		a.setAssignment(assignment)
		a.told.fresh = false
		a.told.acted = assignment.Due() // an earlier life of this agent did
		a.keep.send()                   // and what is kept beside it
	}
	return nil
}

// Mounts is who of Docker uses what. It is there after Start.
func (a *Agent) Mounts() *mounts.Host { return a.mounts }

// Receiver is where moves to this node arrive. It is there after Start.
func (a *Agent) Receiver() *receiver.Receiver { return a.receiver }

// Run converges until ctx ends. Applications go on after it; a hand-off under way is broken off
// as a crash would break it off.
func (a *Agent) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context) error{
		a.watch, a.keepAssignments, a.reportChanges, a.beat, a.converge, a.purge, a.mounts.Keep,
	} {
		group.Go(func() error { return part(ctx) })
	}
	err := group.Wait()
	a.executor.Wait()
	a.logs.Wait()
	a.telling.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// converge runs passes: at start, on every change and on a tick.
func (a *Agent) converge(ctx context.Context) error {
	var membersChanged <-chan struct{}
	if a.Members != nil {
		membersChanged = a.Members.Changed()
	}
	for {
		timer := time.NewTimer(a.pass(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-a.wake:
		case <-a.Runtime.Changed():
		case <-membersChanged:
		case <-timer.C:
		}
		timer.Stop()
	}
}

const (
	// tick is the time between two passes without any cause. It only heals what nobody reported.
	tick = 5 * time.Second
	// blindTick is the time between two while something cannot be seen.
	blindTick = time.Second
)

// pass looks, decides and starts what is to do. It returns when to look again at the latest.
func (a *Agent) pass(ctx context.Context) time.Duration {
	busy, logsSeen := a.executor.Look(), a.logs.Look()
	seen, err := a.observe(ctx)
	if err != nil {
		a.Log.Error("cannot observe this node", "error", err)
		return blindTick
	}
	waits := a.standing.waiting() // before the assignment: it may be for another one
	assignment, known := a.heard()
	if !known {
		return tick
	}
	a.lookAtClock()
	now, wall := time.Now(), a.wall()
	p := plan.Diff(assignment, seen, now)
	a.mu.Lock()
	a.told.conflicts, a.told.acted = p.Conflicts, assignment.Due()
	a.mu.Unlock()
	a.executor.Cancel(func(s plan.Step) error { return stale(s, assignment) })
	logsSeen(seen.Instances)
	if seen.VolumesUnknown == "" {
		a.tellAll(ctx, a.glances.compare(a.Node.Name, assignment, seen.Copies, busy, wall))
	}
	next := tick
	if waits != "" {
		p.Lanes = nil
	}
	if wait := a.executor.Start(ctx, p.Lanes, now); wait > 0 {
		next = min(next, wait)
	}
	if seen.VolumesUnknown != "" {
		a.Log.Error("cannot see the volumes of this node: they and what uses them are left as they are", "error", seen.VolumesUnknown)
		next = min(next, blindTick)
	}
	if seen.InstancesUnknown != "" {
		a.Log.Error("cannot see the applications of this node: only volumes that none uses are looked after", "error", seen.InstancesUnknown)
		next = min(next, blindTick)
	}
	for _, i := range seen.Instances {
		if _, wait := a.restarts.settling(i, false, wall); wait > 0 {
			next = min(next, wait) // then there is something to report
		}
	}
	if !p.Wake.IsZero() {
		next = min(next, max(p.Wake.Sub(now), time.Millisecond))
	}
	a.report.send()
	return next
}

// heard returns the assignment, and whether there is one.
func (a *Agent) heard() (cluster.Assignment, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.told.assignment, a.told.known
}

// fresh reports whether the assignment is of this life of the agent.
func (a *Agent) fresh() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.told.fresh
}

// record reports an event. One that cannot be reported is in the log all the same.
func (a *Agent) record(ctx context.Context, e cluster.Event) {
	assignment, _ := a.heard()
	e.Node, e.Message = a.Node.ID, cluster.Named(e.Message, assignment.VolumeNames())
	a.Log.Warn(e.Message, "kind", e.Kind, "app", e.Application, "volume", e.Volume)
	if err := a.Control.Record(ctx, e); err != nil {
		a.Log.Warn("the event was not recorded", "kind", e.Kind, "error", err)
	}
}

// tellAll records events while others go on.
func (a *Agent) tellAll(ctx context.Context, events []cluster.Event) {
	if len(events) == 0 {
		return
	}
	a.telling.Go(func() {
		for _, e := range events {
			a.record(ctx, e)
		}
	})
}
