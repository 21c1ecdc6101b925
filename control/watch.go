package control

import (
	"context"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
)

// A watch is what those who wait for changes have been given so far.
type watch struct {
	// revision is the newest that an assignment or a move was given in this life of the service, and
	// first the oldest.
	revision, first cluster.Revision

	moves  map[cluster.MoveID]*movement
	events signal
	acks   signal // a node asked for its next assignment
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
	s.watch.revision = max(s.watch.revision+1, s.model.Revision<<view.RevisionsPerWrite)
	return s.watch.revision
}

// wake frees the nodes whose own part may have changed. The caller holds mu.
func (s *Service) wake(concerned records.Set[cluster.NodeID]) {
	for id := range concerned {
		if n := s.sessions[id]; n != nil {
			s.change(n).stale = true
			n.changed.raise()
		}
	}
}

// wakeAll frees everyone: the model was read anew. The caller holds mu.
func (s *Service) wakeAll() {
	all := records.Set[cluster.NodeID]{}
	for id := range s.sessions {
		all[id] = struct{}{}
	}
	s.wake(all)
	s.share(nil)
	for _, m := range s.watch.moves {
		m.revision = s.next()
		m.changed.raise()
	}
	s.watch.events.raise()
	s.relist()
}

// moveChanged frees those who wait for a change of a move. The caller holds mu.
func (s *Service) moveChanged(id cluster.MoveID) {
	m := s.movement(id)
	m.revision = s.next()
	m.changed.raise()
	is, exists := s.model.Moves.Get(id)
	if !exists {
		delete(s.watch.moves, id)
	}
	if !exists || is.Phase.Ended() {
		s.seen.Progress.Delete(id)
	}
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
func (s *Service) Move(ctx context.Context, id cluster.MoveID, since cluster.Revision) (move cluster.Move, revision cluster.Revision, err error) {
	err = s.await(ctx, func() (*signal, error) {
		m, ok := s.model.Moves.Get(id)
		if !ok {
			return nil, records.NotFound("move", id)
		}
		watched := s.movement(id)
		if watched.revision == since {
			return &watched.changed, nil
		}
		move, revision = s.view().Merged(m), watched.revision
		return nil, nil
	})
	return move, revision, err
}
