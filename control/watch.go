package control

import (
	"context"
	"reflect"
	"slices"

	"github.com/drover/drover/cluster"
)

// A signal frees all who wait on it at once. The zero signal works. The service's mu guards it.
type signal struct{ raised chan struct{} }

// wait returns a channel that is closed when the signal is raised next.
func (s *signal) wait() <-chan struct{} {
	if s.raised == nil {
		s.raised = make(chan struct{})
	}
	return s.raised
}

func (s *signal) raise() {
	if s.raised != nil {
		close(s.raised)
		s.raised = nil
	}
}

// A watch is what those who wait for changes have been given so far.
type watch struct {
	// revision is the newest that a slice or a move was given in this life of the service, and
	// first the oldest.
	revision, first cluster.Revision

	// The part that all slices share: its revision, and its content once someone asked for it.
	shared cluster.Revision
	routes []cluster.Route
	nodes  []cluster.Node
	keys   []cluster.UserKey

	moves  map[cluster.MoveID]*movement
	events signal
	acks   signal // a node asked for its next slice
}

// A movement is what has changed of a move in this life of the service.
type movement struct {
	revision cluster.Revision
	changed  signal
}

// next returns a revision for something that changed. It is above all that any life of the
// service has given out: the store's revision grows with each start, and there is room below
// the next one for the changes that the store does not see.
func (s *Service) next() cluster.Revision {
	s.watch.revision = max(s.watch.revision+1, s.model.revision<<slicesPerWrite)
	return s.watch.revision
}

// Slice returns the node's part of the cluster, once its revision differs from since; or the
// error of ctx. That a node asks says that it is there, and that it acts on since.
func (s *Service) Slice(ctx context.Context, node cluster.NodeID, since cluster.Revision) (cluster.Slice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.session(node)
	if err != nil {
		return cluster.Slice{}, err
	}
	n.heard = now()
	n.asked = n.heard
	n.acknowledged = since
	s.watch.acks.raise()
	for {
		if slice := s.slice(n); slice.Revision != since {
			return slice, nil
		}
		if err := ctx.Err(); err != nil {
			return cluster.Slice{}, err
		}
		changed := n.changed.wait()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}

// slice returns the node's slice as it is now. Its own part is derived again only if something
// that concerns the node happened, and has a new revision only if it came out differently. The
// caller holds mu.
func (s *Service) slice(n *session) cluster.Slice {
	if n.stale {
		n.stale = false
		own := part(s.model, s.observed, n.node)
		if n.revision == 0 || !reflect.DeepEqual(own, n.own) {
			n.own, n.revision, n.configured = own, s.next(), s.watch.revision
		}
		if logs := logsOn(s.model, s.logs, n.node); !slices.Equal(logs, n.logs) {
			n.logs, n.revision = logs, s.next()
		}
	}
	if s.watch.nodes == nil {
		s.watch.routes = slices.AppendSeq([]cluster.Route{}, s.model.routes.all())
		s.watch.nodes = slices.AppendSeq([]cluster.Node{}, s.model.nodes.all())
		s.watch.keys = slices.Collect(s.model.keys.all())
	}
	slice := n.own
	slice.Revision = max(n.revision, s.watch.shared)
	slice.Routes, slice.Nodes, slice.Keys, slice.Logs = s.watch.routes, s.watch.nodes, s.watch.keys, n.logs
	return slice
}

// wake frees the nodes whose slice may have changed. The caller holds mu.
func (s *Service) wake(concerned set[cluster.NodeID], everyone bool) {
	if everyone {
		s.watch.shared, s.watch.routes, s.watch.nodes = s.next(), nil, nil
		for _, n := range s.sessions {
			n.changed.raise()
		}
	}
	for id := range concerned {
		if n := s.sessions[id]; n != nil {
			n.stale = true
			n.changed.raise()
		}
	}
}

// wakeAll frees everyone: the model was read anew. The caller holds mu.
func (s *Service) wakeAll() {
	all := set[cluster.NodeID]{}
	for id := range s.sessions {
		all[id] = struct{}{}
	}
	s.wake(all, true)
	for _, m := range s.watch.moves {
		m.revision = s.next()
		m.changed.raise()
	}
	s.watch.events.raise()
	s.relist()
}

// moveChanged frees those who wait for a change of a move. The caller holds mu.
func (s *Service) moveChanged(was, is *cluster.Move) {
	if is == nil {
		delete(s.watch.moves, was.ID)
		return
	}
	if is.Phase.Ended() {
		delete(s.progress, is.ID)
	}
	m := s.movement(is.ID)
	m.revision = s.next()
	m.changed.raise()
}

// movement returns what is watched of a move. The caller holds mu.
func (s *Service) movement(id cluster.MoveID) *movement {
	m := s.watch.moves[id]
	if m == nil {
		m = &movement{revision: s.watch.first}
		s.watch.moves[id] = m
	}
	return m
}

// Move returns a move, and a revision that is another one after each change of it. With a since
// other than zero it waits until the revision differs from it; or returns the error of ctx.
func (s *Service) Move(ctx context.Context, id cluster.MoveID, since cluster.Revision) (cluster.Move, cluster.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		m, ok := s.model.moves.get(id)
		if !ok {
			return cluster.Move{}, 0, notFound("move", id)
		}
		watched := s.movement(id)
		if watched.revision != since {
			return s.progress[id].merge(m), watched.revision, nil
		}
		if err := ctx.Err(); err != nil {
			return cluster.Move{}, 0, err
		}
		changed := watched.changed.wait()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}
