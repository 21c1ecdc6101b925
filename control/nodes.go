package control

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// A session is what is known of a node in this life of the service. The service's mu guards it.
type session struct {
	node cluster.NodeID
	// silent: it has not said in this life of the service, or since it was booted, which volumes it
	// holds. That is unknown, and unknown is never "none".
	silent bool
	heard  time.Time // last call of any kind
	asked  time.Time // last call for a slice
	// touch is whether housekeeping last saw the node in touch.
	touch bool
	// acknowledged is the slice that the node acts on.
	acknowledged cluster.Revision

	// state is the newest report, nil if unknown; settled is the newest one whose consequences
	// have been drawn.
	state, settled *cluster.NodeState

	own      cluster.Slice        // its own part, as last derived
	logs     []cluster.LogRequest // what users want to read of it, likewise
	revision cluster.Revision     // of both
	// configured is the revision of own alone: a node that lags behind with logs only has done
	// all that the configuration asks of it.
	configured cluster.Revision
	stale      bool // own may no longer be right
	changed    signal
}

// session returns what is known of a node. The caller holds mu.
func (s *Service) session(id cluster.NodeID) (*session, error) {
	if n := s.sessions[id]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w; it must register first", notFound("node", id))
}

func notFound[K ~string](noun string, id K) error {
	return fmt.Errorf("%s %q: %w", noun, string(id), cluster.ErrNotFound)
}

// inTouch reports whether the node was heard of a short time ago. The caller holds mu.
func (s *Service) inTouch(n *session, at time.Time) bool {
	return n != nil && !n.heard.IsZero() && at.Sub(n.heard) <= s.options.Timing.liveness()
}

// live reports the same of a node by its id.
func (s *Service) live(id cluster.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inTouch(s.sessions[id], now())
}

// silence returns for how long a node has not been heard of; at most since the service started.
func (s *Service) silence(id cluster.NodeID) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.started
	if n := s.sessions[id]; n != nil && n.heard.After(last) {
		last = n.heard
	}
	return now().Sub(last)
}

// copiesOf returns the copies of a volume that nodes have reported.
func (s *Service) copiesOf(id cluster.VolumeID) map[cluster.NodeID]cluster.VolumeState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.observed.copies[id])
}

// unheard reports whether there are nodes that may hold anything: on record, but silent since
// the service started. It waits for them for the time in which a node that is there would have
// come.
func (s *Service) unheard() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	present := now()
	starting := present.Sub(s.started) <= s.options.Timing.liveness()
	for _, n := range s.sessions {
		if n.silent && (starting || s.inTouch(n, present)) {
			return true
		}
	}
	return false
}

// Register records who a node is. Its agent calls it at each start and after each loss of the
// connection.
func (s *Service) Register(ctx context.Context, n cluster.Node) error {
	if n.ID == "" || (n.Name != "" && !cluster.ValidName(n.Name)) {
		return fmt.Errorf("register node %q: %w: a node needs an id, and its name %q must be valid", n.ID, cluster.ErrInvalid, n.Name)
	}
	_, err := s.update(ctx, func(d *draft) error {
		switch was, known := d.nodes.get(n.ID); {
		case !known:
			d.event(cluster.Event{Node: n.ID, Kind: "registered", Message: fmt.Sprintf("node %s at %s joined", cmp.Or(n.Name, string(n.ID)), n.Address)})
		case was.Era != n.Era:
			d.event(cluster.Event{Node: n.ID, Kind: "booted", Message: fmt.Sprintf("node %s was booted", cmp.Or(n.Name, string(n.ID)))})
		}
		d.nodes.put(n)
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.sessions[n.ID]
	if known == nil {
		known = &session{node: n.ID, stale: true}
		s.sessions[n.ID] = known
	}
	known.heard = now()
	if known.state != nil && known.state.Era != n.Era {
		known.state, known.settled = nil, nil
	}
	return nil
}

// Report takes in what a node observes of itself. What follows from it is durable when Report
// returns; the state itself is not: a restarted service waits for the next report.
func (s *Service) Report(ctx context.Context, state cluster.NodeState) error {
	volumes, apps, err := s.hear(&state)
	if err != nil || len(volumes)+len(apps) == 0 {
		return err
	}
	_, err = s.update(ctx, func(d *draft) error {
		for id := range volumes {
			d.look(id)
			if m, ok := d.openMove(id); ok {
				d.concern(m.To) // which is told how large the copy is
			}
		}
		for name := range apps {
			d.lookAt(name)
			if a, ok := d.applications.get(name); ok && a.Volume != nil {
				d.look(a.Volume.Volume)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.sessions[state.Node]; n.state == &state {
		n.settled = &state
	}
	return nil
}

// hear notes a state and returns of what it differs from the last one that was settled.
func (s *Service) hear(state *cluster.NodeState) (set[cluster.VolumeID], set[cluster.AppName], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.session(state.Node)
	if err != nil {
		return nil, nil, err
	}
	if registered, _ := s.model.nodes.get(state.Node); registered.Era != state.Era {
		return nil, nil, fmt.Errorf("state of node %s: %w: it is of era %q, the node registered with %q",
			state.Node, cluster.ErrStale, state.Era, registered.Era)
	}
	volumes, apps := differences(n.settled, state)
	unknown := state.VolumesUnknown != ""
	n.heard, n.silent = now(), unknown && (n.silent || n.state == nil)
	// Of a node that cannot see its volumes, what it said of them before still counts.
	if !unknown && (n.state == nil || n.state.VolumesUnknown != "" || !reflect.DeepEqual(n.state.Volumes, state.Volumes)) {
		s.observed.report(state.Node, state.Volumes)
		n.stale = true
		n.changed.raise()
	}
	n.state = state
	return volumes, apps, nil
}

// Nodes returns every node, by name.
func (s *Service) Nodes() []wire.NodeStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodeStatuses()
}

func (s *Service) nodeStatuses() []wire.NodeStatus {
	out := []wire.NodeStatus{}
	for node := range s.model.nodes.all() {
		status := wire.NodeStatus{Node: node, State: cluster.NodeState{Node: node.ID}}
		if n := s.sessions[node.ID]; n != nil {
			status.Live, status.Heard = s.inTouch(n, now()), n.heard
			if n.state != nil {
				status.State = *n.state
			}
		}
		out = append(out, status)
	}
	slices.SortFunc(out, func(a, b wire.NodeStatus) int {
		return cmp.Or(cmp.Compare(a.Node.Name, b.Node.Name), cmp.Compare(a.Node.ID, b.Node.ID))
	})
	return out
}
