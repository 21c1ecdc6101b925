package control

import (
	"context"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
)

// Run looks after what time alone changes, until ctx ends: deadlines and back-offs of moves,
// leases that expire, nodes that are no longer heard of. It returns the error of ctx.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.options.Timing.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := s.tidy(ctx); err != nil && ctx.Err() == nil {
				s.options.log().Error("housekeeping is behind; it is tried again", "error", err)
			}
		}
	}
}

// tidy does what is due.
func (s *Service) tidy(ctx context.Context) error {
	turned := map[cluster.NodeID]bool{}
	_, err := s.update(ctx, func(w *rules.Write) error {
		s.mu.Lock()
		clear(turned)
		s.quiet(w)
		for id, n := range s.sessions {
			if live := w.View.InTouch(id); live != n.touch {
				turned[id] = live
			}
		}
		s.mu.Unlock()
		w.Tidy(turned)
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, live := range turned {
		if n := s.sessions[id]; n != nil {
			n.touch = live
		}
	}
	return nil
}
