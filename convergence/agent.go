// Package convergence is the agent of one node: it makes the node match its slice of the
// configuration, and tells the control service what it sees.
//
//	a := &convergence.Agent{Node: node, Backend: b, Runtime: r, Control: client, ...}
//	err := a.Run(ctx)
//
//	control --slice--> watch --+--> routes --> proxy
//	                           v
//	   observe -> plan.Diff -> lanes of steps -> report --state--> control
//	      ^                        |
//	      +------ again -----------+
//
// It is level-triggered: one Converge, at start, on every change and on a tick, that looks at
// the world and does what is missing. What an earlier pass did, or an earlier process, is never
// relied upon. It goes on while the control service is away, by the last slice that it got.
//
// The package does not decide who owns a volume or where an application runs, and stores nothing
// that could not be observed again, but for one thing: that a commit was asked for.
package convergence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/uses"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// Control is what an agent needs of the control service. Package client implements it.
type Control interface {
	handoff.Control
	Register(ctx context.Context, n cluster.Node) error
	Slice(ctx context.Context, node cluster.NodeID, since cluster.Revision, wait time.Duration) (cluster.Slice, bool, error)
	Report(ctx context.Context, s cluster.NodeState) error
	Ready(ctx context.Context, id cluster.MoveID, r wire.ReadyReport) error
	Record(ctx context.Context, e cluster.Event) error
	AnswerLogs(ctx context.Context, node cluster.NodeID, id cluster.LogID, output io.ReadCloser) error
}

// Router obeys routes. A proxy.Proxy is one.
type Router interface {
	Apply(routes []cluster.Route) error
}

// Members says who is there. A membership.Membership is one. It wakes the agent up and is shown
// to people; it decides nothing.
type Members interface {
	SetPeers(peers map[cluster.NodeID]string)
	View() map[cluster.NodeID]string
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
	// Dir keeps the journal and the last slice. Only this agent uses it.
	Dir string
	Log *slog.Logger

	// Private is the address at which applications listen for proxies; empty: the node's.
	Private string
	// Members may be nil.
	Members Members
	// Engine is the container engine whose volume plugin asks this agent; it may be nil.
	Engine  Engine
	Handoff handoff.Options
	// Grace is how long the copy of a former owner is kept: 24 h.
	Grace time.Duration
	// TrashGrace is how long a removed copy can be brought back: 7 days.
	TrashGrace time.Duration

	journal *journal
	uses    *uses.Book
	wake    chan struct{} // has room for one
	report  chan struct{} // has room for one
	keep    chan struct{} // has room for one

	mu    sync.Mutex
	slice cluster.Slice
	known bool // slice is set
	acted cluster.Revision
	// registrations counts how often the node has registered: each time all is to be reported.
	registrations int
	lanes         map[string]*laneRun
	failed        map[string]failedStep // by lane
	// conflicts are those of the last plan.
	conflicts []cluster.Conflict
	// outcomes are the attempts that ended without a move and are not yet acknowledged.
	outcomes map[cluster.MoveID]outcome
	// gaveUp are those that are. answered are the attempts that this node, as their target, has
	// answered.
	gaveUp, answered map[cluster.MoveID]int
	restarts         map[cluster.AppName]*restartHistory
	// waiting are the applications that are to move here and wait for their image.
	waiting map[cluster.AppName]runtime.Spec
	// logs are the requests of the slice that are being answered, or have been.
	logs      map[cluster.LogID]*logRun
	answering sync.WaitGroup
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

// Run converges until ctx ends. Applications go on after it; a hand-off under way is broken off
// as a crash would break it off.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.start(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.watch(ctx) })
	group.Go(func() error { return a.keepSlices(ctx) })
	group.Go(func() error { return a.reportChanges(ctx) })
	group.Go(func() error { return a.converge(ctx) })
	group.Go(func() error { return a.purge(ctx) })
	group.Go(func() error { return a.keepUses(ctx) })
	group.Go(func() error { return a.serveLocally(ctx) })
	err := group.Wait()
	a.waitForLanes()
	a.answering.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// start reads what the agent knew before it was restarted.
func (a *Agent) start() error {
	a.wake, a.report, a.keep = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	a.lanes, a.failed = map[string]*laneRun{}, map[string]failedStep{}
	a.outcomes = map[cluster.MoveID]outcome{}
	a.gaveUp, a.answered = map[cluster.MoveID]int{}, map[cluster.MoveID]int{}
	a.restarts = map[cluster.AppName]*restartHistory{}
	a.waiting = map[cluster.AppName]runtime.Spec{}
	a.logs = map[cluster.LogID]*logRun{}
	var err error
	if a.journal, err = openJournal(a.Dir); err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	if err := a.openUses(); err != nil {
		return err
	}
	slice, ok, err := loadSlice(a.Dir)
	if err != nil {
		// A slice that cannot be read is as good as none: the control service has it.
		a.Log.Warn("the last slice is not readable", "error", err)
	}
	if ok && slice.Node == a.Node.ID {
		a.setSlice(slice)
	}
	return nil
}

// Permit says whether a peer may ship d to this node, and completes it: only the source of a move
// that is open and ends here may, and only until it is committed.
func (a *Agent) Permit(from cluster.NodeID, d volume.Delta) (volume.Delta, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.slice.Moves {
		if m.Volume == d.Volume && m.From == from && m.To == a.Node.ID && !m.Phase.Committed() && !m.Phase.Ended() {
			fault.Point("arrive.receive")
			d.Labels = a.arrivalLabels(m.ID)
			return d, nil
		}
	}
	return d, fmt.Errorf("%w: no move brings volume %s from that node to this one", cluster.ErrForbidden, d.Volume)
}

// arrivalLabels returns what people call the volume that a move brings here. The caller holds mu.
func (a *Agent) arrivalLabels(move cluster.MoveID) volume.Labels {
	for _, arrival := range a.slice.Arriving {
		if arrival.Move == move {
			l := volume.Labels{Name: arrival.Volume.Name}
			if arrival.Application != nil {
				l.Application = arrival.Application.Name
			}
			return l
		}
	}
	return volume.Labels{}
}

// PeerOf returns the node that a public key, in authorized_keys form, belongs to; none for the key
// of a user.
func (a *Agent) PeerOf(key string) (cluster.NodeID, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.slice.Nodes {
		if n.TransferKey == key {
			return n.ID, true
		}
	}
	return "", slices.ContainsFunc(a.slice.Keys, func(k cluster.UserKey) bool { return k.Key == key })
}

// VolumeNames returns what the volumes of which this node has a copy are called.
func (a *Agent) VolumeNames() map[cluster.VolumeID]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.slice.VolumeNames()
}

// converge runs passes: at start, on every change and on a tick.
func (a *Agent) converge(ctx context.Context) error {
	for {
		next := a.pass(ctx)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-a.wake:
		case <-a.Runtime.Changed():
		case <-a.membersChanged():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (a *Agent) membersChanged() <-chan struct{} {
	if a.Members == nil {
		return nil
	}
	return a.Members.Changed()
}

// tick is the time between two passes without any cause. It only heals what nobody reported.
const tick = 5 * time.Second

// pass looks, decides and starts what is to do. It returns when to look again at the latest.
func (a *Agent) pass(ctx context.Context) time.Duration {
	// What is seen of a lane that is busy may be out of date when the look is over.
	before, reading := a.busyLanes(), a.openLogs()
	seen, err := a.observe(ctx)
	if err != nil {
		a.Log.Error("cannot observe this node", "error", err)
		return time.Second
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.known {
		return tick
	}
	now := time.Now()
	p := plan.Diff(a.slice, seen, now)
	a.conflicts = p.Conflicts
	a.acted = a.slice.Revision
	a.cancelStale()
	endReplacedLogs(reading, seen.Instances)
	next := tick
	for _, lane := range p.Lanes {
		if before[lane.Key] {
			continue // its end wakes the next pass
		}
		if wait := a.startLane(ctx, lane, now); wait > 0 {
			next = min(next, wait)
		}
	}
	a.forgetIdle(p)
	if seen.VolumesUnknown != "" {
		a.Log.Error("cannot see the volumes of this node: they and what uses them are left as they are", "error", seen.VolumesUnknown)
		next = min(next, time.Second)
	}
	if seen.InstancesUnknown != "" {
		a.Log.Error("cannot see the applications of this node: only volumes that none uses are looked after", "error", seen.InstancesUnknown)
		next = min(next, time.Second)
	}
	if !p.Wake.IsZero() {
		next = min(next, max(p.Wake.Sub(now), time.Millisecond))
	}
	a.signal(a.report)
	return next
}

// purge empties the trash of what is past its grace period.
func (a *Agent) purge(ctx context.Context) error {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		if err := a.Backend.Purge(ctx, time.Now().Add(-a.trashGrace())); err != nil && ctx.Err() == nil {
			a.Log.Warn("cannot purge the trash", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// signal wakes the reader of a channel that has room for one.
func (a *Agent) signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
