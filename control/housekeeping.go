package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
)

// Run looks after what time alone changes, until ctx ends: deadlines and back-offs of moves,
// leases that expire, nodes that are no longer heard of. It returns the error of ctx.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.options.Timing.tick())
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

// tidy does what is due. Each time it looks at everything that can become due, which is little:
// open moves, leases, nodes, and volumes without an owner.
func (s *Service) tidy(ctx context.Context) error {
	turned := s.turned()
	_, err := s.update(ctx, func(d *draft) error {
		d.expireLeases()
		for id := range d.model.index.open {
			d.look(id)
		}
		for id := range d.model.index.ownerless {
			d.look(id)
		}
		for id, live := range turned {
			d.turnedNode(id, live)
		}
		d.forgetMoves()
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, live := range turned {
		s.sessions[id].touch = live
	}
	return nil
}

// turned returns the nodes that came into touch, or went out of it, since housekeeping last saw
// them.
func (s *Service) turned() map[cluster.NodeID]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[cluster.NodeID]bool{}
	for id, n := range s.sessions {
		if live := s.inTouch(n, now()); live != n.touch {
			out[id] = live
		}
	}
	return out
}

// turnedNode tells of a node that is no longer heard of, and has the routes derived anew that
// lead to it.
func (d *draft) turnedNode(id cluster.NodeID, live bool) {
	if !live {
		d.event(cluster.Event{Node: id, Kind: "lost", Message: fmt.Sprintf("node %s has not been heard of for %s; what it holds stays on record",
			d.model.node(id), d.service.silence(id).Round(time.Second))})
	}
	for volume := range d.model.index.owned[id] {
		d.look(volume)
	}
	for _, names := range []set[cluster.AppName]{d.model.index.placed[id], d.model.index.leaving[id]} {
		for name := range names {
			d.lookAt(name)
		}
	}
}

// forgetMoves drops the oldest of the moves that have ended, when there are too many.
func (d *draft) forgetMoves() {
	excess := len(d.model.moves.rows) - keptMoves
	if excess <= 0 {
		return
	}
	var ended []cluster.Move
	for _, r := range d.model.moves.rows {
		if r.value.Phase.Ended() {
			ended = append(ended, r.value)
		}
	}
	slices.SortFunc(ended, func(a, b cluster.Move) int { return a.Ended.Compare(b.Ended) })
	for _, m := range ended[:min(excess, len(ended))] {
		d.moves.drop(m.ID)
	}
}
