package convergence

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/sleep"
)

// pollWait is how long the control service may keep a request for a new assignment.
const pollWait = 5 * time.Second

// watch keeps the assignment current. It registers the node first, and again whenever the connection
// was lost: the control service may have been restarted and know nothing of this node's state.
func (a *Agent) watch(ctx context.Context) error {
	registered := false
	failures := 0
	for ctx.Err() == nil {
		err := a.poll(ctx, &registered)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			failures = 0
			continue
		}
		if errors.Is(err, cluster.ErrStale) {
			a.reportAnew() // a heartbeat was there before the report that it is of
			continue
		}
		registered = false
		failures++
		switch {
		case errors.Is(err, cluster.ErrRemoved):
			a.expelled(err)
		case failures == 1 && errors.Is(err, cluster.ErrUnavailable):
			a.Log.Warn("the control service is away; going on by the last assignment", "error", err)
		case failures == 1:
			a.Log.Warn("the control service refuses this node", "error", err)
		}
		if sleep.For(ctx, sleep.Reconnect(string(a.Node.ID), failures)) != nil {
			break
		}
	}
	return ctx.Err()
}

// expelled ends what runs here: an operator has removed this node, and another one may own what it owned. All
// that it has stays. It serves no client either: where applications are it is not told any more.
func (a *Agent) expelled(err error) {
	last, _ := a.heard()
	if a.fresh() && last.Removed {
		return
	}
	a.Log.Error("this node was removed: what runs here is stopped", "error", err, "hint", cluster.Hint(err))
	a.setAssignment(cluster.Assignment{Revision: last.Revision, Life: last.Life, Node: a.Node.ID, Removed: true, Nodes: last.Nodes})
	a.keep.send()
	a.standing.told()
}

func (a *Agent) poll(ctx context.Context, registered *bool) error {
	known, _ := a.heard()
	since := known.Revision
	if !*registered {
		node := a.Node
		node.Admitted, node.Told = a.standing.taken(), known.Position()
		err := a.Control.Register(ctx, node)
		if a.stand(err); err != nil {
			return err
		}
		*registered = true
		a.Log.Info("registered with the control service")
		a.reportAnew()
		// An assignment of an earlier life of the service must not look current to this one.
		since = 0
	}
	if !a.fresh() {
		since = 0 // nor one of an earlier life of this agent
	}
	assignment, changed, err := a.Control.Assignment(ctx, a.Node.ID, since, pollWait)
	if err != nil {
		a.stand(err)
		return err
	}
	if changed {
		a.setAssignment(assignment)
		a.logs.Answer(ctx, assignment.Logs)
		a.keep.send()
		if a.standing.told() {
			a.wake.send()
		}
	}
	return nil
}

// keepAssignments writes the newest assignment to disk after each change. It is not done on the way to the
// next poll: the disk may be busy with a volume, and the poll says that the routes are in force.
func (a *Agent) keepAssignments(ctx context.Context) error {
	var again <-chan time.Time
	var kept cluster.Assignment // what is on disk, as far as that is known, and since when
	var at time.Time
	said := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.keep:
		case <-again:
		}
		if err := a.standing.keep(a.Dir, a.Node); err != nil && !said {
			a.Log.Error("where this node is cannot be kept; after a restart it may need the control service", "error", err)
		}
		assignment, _ := a.heard()
		if rest := keepRoutes - time.Since(at); rest > 0 && routesOnly(kept, assignment) {
			again = time.After(rest)
			continue
		}
		wanting, err := saveAssignment(a.Dir, assignment)
		if a.fresh() {
			err = errors.Join(err, a.made.keep(func() cluster.Assignment { newest, _ := a.heard(); return newest }))
		}
		if kept, at = assignment, time.Now(); err != nil {
			kept = cluster.Assignment{}
		}
		if err != nil && !said {
			a.Log.Error("the assignment cannot be kept; after a restart this node needs the control service", "error", err)
		}
		said = err != nil
		if a.journal != nil && a.journal.KeepSpace(len(assignment.Volumes)) != nil {
			wanting = true
		}
		again = nil
		if wanting {
			again = time.After(tick)
		}
	}
}

// keepRoutes is how long routes that change wait for others to be written with them: each time all is written.
const keepRoutes = time.Second

// routesOnly reports whether two assignments differ in nothing but their routes.
func routesOnly(a, b cluster.Assignment) bool {
	a.Revision, b.Revision, a.Routes, b.Routes = 0, 0, nil, nil
	return reflect.DeepEqual(a, b)
}

// setAssignment makes an assignment the current one. The routes come first: the next request for an assignment
// tells the control service that they are in force. There is something to do only if it asks something else of this
// node itself.
func (a *Agent) setAssignment(assignment cluster.Assignment) {
	if err := a.Routes.Apply(assignment.Routes); err != nil {
		a.Log.Error("not every route is in force", "error", err)
	}
	if a.Members != nil {
		a.Members.SetPeers(gossipPeers(assignment, a.Node.ID))
	}
	a.receiver.Assign(assignment)
	a.attempts.keep(assignment.Moves)
	a.mu.Lock()
	last, same := a.told.assignment, a.told.known && a.told.fresh
	a.told.assignment, a.told.known, a.told.fresh = assignment, true, true
	a.mu.Unlock()
	if !same || !reflect.DeepEqual(last.Part(), assignment.Part()) {
		a.wake.send()
	}
}

func gossipPeers(assignment cluster.Assignment, self cluster.NodeID) map[cluster.NodeID]string {
	peers := map[cluster.NodeID]string{}
	for _, n := range assignment.Nodes {
		if n.ID != self && n.GossipAddress != "" {
			peers[n.ID] = n.GossipAddress
		}
	}
	return peers
}
