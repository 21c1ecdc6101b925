package convergence

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
)

// pollWait is how long the control service may keep a request for a new slice. That such
// requests come is the node's heartbeat.
const pollWait = 5 * time.Second

// watch keeps the slice current. It registers the node first, and again whenever the connection
// was lost: the control service may have been restarted and know nothing of this node's state.
func (a *Agent) watch(ctx context.Context) error {
	registered := false
	failures := 0
	for ctx.Err() == nil {
		err := a.poll(ctx, &registered)
		if err == nil {
			failures = 0
			continue
		}
		registered = false
		failures++
		if failures == 1 {
			a.Log.Warn("the control service is away; going on by the last slice", "error", err)
		}
		if !sleep(ctx, reconnectDelay(failures)) {
			break
		}
	}
	return ctx.Err()
}

// reconnectDelay grows with the failures, with jitter so that a restarted control service is not
// met by every agent at once.
func reconnectDelay(failures int) time.Duration {
	most := min(50*time.Millisecond<<min(failures, 6), 2*time.Second)
	return most/2 + rand.N(most/2)
}

func (a *Agent) poll(ctx context.Context, registered *bool) error {
	since := a.revision()
	if !*registered {
		if err := a.Control.Register(ctx, a.Node); err != nil {
			return err
		}
		*registered = true
		a.mu.Lock()
		a.registrations++
		a.mu.Unlock()
		a.Log.Info("registered with the control service")
		a.signal(a.report)
		// A slice of an earlier life of the service must not look current to this one.
		since = 0
	}
	slice, changed, err := a.Control.Slice(ctx, a.Node.ID, since, pollWait)
	if err != nil || !changed {
		return err
	}
	a.setSlice(slice)
	a.answerLogs(ctx, slice.Logs)
	a.signal(a.keep)
	return nil
}

// keepSlices writes the newest slice to disk after each change. It is not done on the way to the
// next poll: the disk may be busy with a volume, and the poll says that the routes are in force.
func (a *Agent) keepSlices(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.keep:
		}
		a.mu.Lock()
		slice := a.slice
		a.mu.Unlock()
		if err := saveSlice(a.Dir, slice); err != nil {
			a.Log.Error("the slice cannot be kept; after a restart this node needs the control service", "error", err)
		}
	}
}

func (a *Agent) revision() cluster.Revision {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.slice.Revision
}

// setSlice makes a slice the current one. The routes come first: the next request for a slice
// tells the control service that they are in force.
func (a *Agent) setSlice(slice cluster.Slice) {
	if err := a.Routes.Apply(slice.Routes); err != nil {
		a.Log.Error("not every route is in force", "error", err)
	}
	if a.Members != nil {
		a.Members.SetPeers(gossipPeers(slice, a.Node.ID))
	}
	a.mu.Lock()
	a.slice, a.known = slice, true
	ended := func(id cluster.MoveID, _ int) bool {
		return !slices.ContainsFunc(slice.Moves, func(m cluster.Move) bool { return m.ID == id })
	}
	maps.DeleteFunc(a.gaveUp, ended)
	maps.DeleteFunc(a.answered, ended)
	maps.DeleteFunc(a.outcomes, func(id cluster.MoveID, _ outcome) bool { return ended(id, 0) })
	a.mu.Unlock()
	a.signal(a.wake)
}

func gossipPeers(slice cluster.Slice, self cluster.NodeID) map[cluster.NodeID]string {
	peers := map[cluster.NodeID]string{}
	for _, n := range slice.Nodes {
		if n.ID != self && n.GossipAddress != "" {
			peers[n.ID] = n.GossipAddress
		}
	}
	return peers
}

// reportChanges sends the node's state whenever it has changed.
func (a *Agent) reportChanges(ctx context.Context) error {
	var sent string
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.report:
		}
		state, fingerprint, err := a.state(ctx)
		if err != nil {
			a.Log.Error("cannot observe this node", "error", err)
			continue
		}
		if fingerprint == sent {
			continue
		}
		if err := a.Control.Report(ctx, state); err != nil {
			if !errors.Is(err, context.Canceled) {
				a.Log.Debug("the state was not reported", "error", err)
			}
			sent = ""
			if sleep(ctx, reconnectDelay(3)) {
				a.signal(a.report)
			}
			continue
		}
		sent = fingerprint
	}
}

// sleep waits and reports whether ctx still lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
