package control

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// A session is what a node is told in this life of the service, and what is known of it. The
// service's mu guards it.
type session struct {
	*standing
	made int // when the standing was, by Service.shown
	speaker
	id  cluster.NodeID
	met time.Time // when it registered first, or was booted
	// touch is whether housekeeping last saw the node in touch.
	touch bool
	// given is the newest that it was given in this life of the service.
	given cluster.Revision
	// settled is the newest report whose consequences have been drawn.
	settled *cluster.NodeState
	// reporter is the instance that sent the newest one.
	reporter string
	// registered: it has, in this life of the service. dated: and has said of which life it was told last.
	registered, dated bool

	logs    []cluster.LogRequest // what users want to read of it, as last derived
	changed signal
}

// meet begins the session of a node. The caller holds mu.
func (s *Service) meet(id cluster.NodeID, n view.Node) *session {
	met := &session{id: id, met: s.clock.now(), given: s.parted[id]}
	s.show(met, &standing{Node: n, stale: true})
	s.sessions[id] = met
	delete(s.parted, id)
	return met
}

// part ends the session of a node that was removed: what it said does not count any more. The caller holds mu.
func (s *Service) part(id cluster.NodeID) {
	n := s.sessions[id]
	if n == nil {
		return
	}
	s.seen.Report(id, nil)
	s.seen.Nodes.Delete(id)
	s.standings.Delete(id)
	delete(s.sessions, id)
	s.parted[id] = n.given
	n.changed.raise()
}

// session returns what is known of a node. The caller holds mu.
func (s *Service) session(id cluster.NodeID) (*session, error) {
	if n := s.sessions[id]; n != nil {
		return n, nil
	}
	if err := s.model.Admitted(id); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w; it must register first", records.NotFound("node", id))
}

// Register records who a node is. Its agent calls it at each start and after each loss of the
// connection.
func (s *Service) Register(ctx context.Context, n cluster.Node) error {
	if err := n.Validate().Err(); err != nil {
		return fmt.Errorf("register node %q: %w", n.ID, err)
	}
	lost := false
	_, err := s.update(ctx, func(w *rules.Write) error {
		if err := w.Register(n); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if known := s.sessions[n.ID]; known != nil {
			if err := s.admit(ctx, known, n); err != nil {
				return err
			}
		}
		w.PutSpeaker(n.ID, wire.InstanceOf(ctx), n.Seat)
		lost = w.Place(n)
		return nil
	})
	if err != nil {
		s.tellRefused(ctx, n, err)
		return fmt.Errorf("register node %q: %w", n.ID, err)
	}
	s.registered(ctx, n, lost)
	if lost {
		return s.review(ctx)
	}
	return nil
}

// registered notes that a node has registered. Lost: it stands where nothing on record leads to.
func (s *Service) registered(ctx context.Context, n cluster.Node, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.sessions[n.ID]
	if known == nil {
		known = s.meet(n.ID, view.Node{Joined: s.shared.revision})
		known.instance = wire.InstanceOf(ctx)
	}
	// Of this very life it may say more than that has told, if the host was put back with its memory: see saw.
	known.registered, known.dated = true, n.Told.Life != "" && n.Told.Life != s.life
	is := s.change(known)
	is.Heard = s.clock.now()
	if is.Lost = (cluster.Position{}); lost {
		is.Lost = n.Told
	}
	if is.State != nil && is.State.Era != n.Era {
		is.State, known.settled, known.met = nil, nil, s.clock.now()
	}
}

// Report takes in what a node observes of itself. What follows from it is durable when Report
// returns; the state itself is not: a restarted service waits for the next report.
func (s *Service) Report(ctx context.Context, state cluster.NodeState) error {
	if err := cluster.Bound(&state); err != nil {
		return fmt.Errorf("state of node %s: %w", state.Node, err)
	}
	if err := s.saw(ctx, state.Node, max(state.Seen, state.Told)); err != nil {
		return err
	}
	volumes, apps, err := s.hear(ctx, &state)
	if err != nil || len(volumes)+len(apps) == 0 {
		return err
	}
	if _, err = s.update(ctx, func(w *rules.Write) error { w.Reported(volumes, apps); return nil }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.sessions[state.Node]; n != nil && n.State == &state {
		n.settled = &state
	}
	return nil
}

// hear notes a state and returns of what it differs from the last one that was settled.
func (s *Service) hear(ctx context.Context, state *cluster.NodeState) (records.Set[cluster.VolumeID], records.Set[cluster.AppName], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.session(state.Node)
	if err != nil {
		return nil, nil, err
	}
	if err := s.speaks(ctx, n); err != nil {
		return nil, nil, fmt.Errorf("state of node %s: %w", state.Node, err)
	}
	if registered, _ := s.model.Nodes.Get(state.Node); registered.Era != state.Era {
		return nil, nil, fmt.Errorf("state of node %s: %w: it is of era %q, the node registered with %q",
			state.Node, cluster.ErrStale, state.Era, registered.Era)
	}
	if n.State != nil && n.reporter == n.instance && state.Sequence != 0 && state.Sequence <= n.State.Sequence {
		return nil, nil, nil // it was on its way for longer than a later one
	}
	n.reporter = n.instance
	volumes, apps := view.Differences(n.settled, state)
	unknown := state.VolumesUnknown != ""
	is := s.change(n)
	is.Heard, is.Silent = s.clock.now(), unknown && (n.Silent || n.State == nil)
	// Of a node that cannot see its volumes, what it said of them before still counts.
	if !unknown && (n.State == nil || n.State.VolumesUnknown != "" || !reflect.DeepEqual(n.State.Volumes, state.Volumes)) {
		s.seen.Report(state.Node, state.Volumes)
		is.stale = true
	}
	is.stale = is.stale || n.State == nil || !reflect.DeepEqual(n.State.Conflicts, state.Conflicts)
	if n.stale {
		n.changed.raise()
	}
	slices.Sort(state.Missing) // view.Hears searches it
	is.State, is.Told = state, state.Told
	return volumes, apps, nil
}

// Heartbeat takes in that the last state that a node reported still holds: it has nothing else to say,
// and can say it. cluster.ErrStale: that state is not known here, and is to be reported again.
func (s *Service) Heartbeat(ctx context.Context, node cluster.NodeID, b wire.Heartbeat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.session(node)
	if err == nil {
		err = s.speaks(ctx, n)
	}
	if err == nil && (n.State == nil || n.reporter != n.instance || n.State.Sequence < b.Sequence) {
		err = fmt.Errorf("%w: its report %d is not known", cluster.ErrStale, b.Sequence)
	}
	if err != nil {
		return fmt.Errorf("heartbeat of node %s: %w", node, err)
	}
	is := s.change(n)
	is.Heard = s.clock.now()
	if b.Polling && n.polls > 0 {
		is.Asked = is.Heard
	}
	if is.State.Sequence == b.Sequence {
		is.Told = max(is.Told, b.Told)
	}
	return nil
}

// Nodes returns every node, by name.
func (s *Service) Nodes() []wire.NodeStatus {
	g := s.glance()
	return g.withRefused(report.Nodes(g.View))
}

// Status returns the cluster at a glance.
func (s *Service) Status() wire.Status {
	g := s.glance()
	status := report.Status(g.View, g.told)
	g.withRefused(status.Nodes)
	status.Suspended = g.Suspended()
	return status
}

// RemoveNode forgets a node that is gone for good, or says, unless it is confirmed, what would become of what
// that has.
func (s *Service) RemoveNode(ctx context.Context, node string, r wire.RemovalRequest) (removal wire.Removal, err error) {
	edit := func(w *rules.Write) (err error) {
		removal, err = w.RemoveNode(node, r)
		return err
	}
	if r.Confirmed {
		_, err = s.update(ctx, edit)
	} else {
		err = s.try(ctx, edit)
	}
	if err != nil {
		return wire.Removal{}, fmt.Errorf("remove node %s: %w", node, err)
	}
	removal.Done = r.Confirmed
	return removal, nil
}

// RemovedNodes returns the nodes that were removed, the last one first.
func (s *Service) RemovedNodes() []cluster.RemovedNode {
	nodes := slices.AppendSeq([]cluster.RemovedNode{}, s.glance().Model.Removed.All())
	slices.SortStableFunc(nodes, func(a, b cluster.RemovedNode) int { return b.At.Compare(a.At) })
	return nodes
}

// ReadmitNode lets a node that was removed register again.
func (s *Service) ReadmitNode(ctx context.Context, nameOrID string) (n cluster.RemovedNode, err error) {
	_, err = s.update(ctx, func(w *rules.Write) (err error) {
		n, err = w.ReadmitNode(nameOrID)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("readmit node %s: %w", nameOrID, err)
	}
	return n, nil
}

// Admitted refuses a node that was removed.
func (s *Service) Admitted(id cluster.NodeID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.sessions[id]; n != nil {
		s.change(n).Spoke = s.clock.now()
	}
	return s.model.Admitted(id)
}
