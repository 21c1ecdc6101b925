package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/fault"
)

// Moves returns every move on record: open ones first, oldest first; then those that have ended,
// newest first.
func (s *Service) Moves() []cluster.Move {
	return report.Moves(s.glance().View)
}

// RequestMove places an application and its volume, or a volume, on another node, and returns
// the move that follows. An application without a volume is only placed there: the result is a
// move that is done, was never stored and has no id.
//
// Asked again for a move that is under way, it returns that one. While another move of the
// volume is under way the result is cluster.ErrConflict.
func (s *Service) RequestMove(ctx context.Context, r wire.MoveRequest) (cluster.Move, error) {
	var m cluster.Move
	var volume cluster.VolumeID
	w, err := s.update(ctx, func(w *rules.Write) (err error) {
		m, volume, err = w.RequestMove(r)
		return err
	})
	if err != nil {
		return cluster.Move{}, fmt.Errorf("move %s%s: %w", r.Application, r.Volume, err)
	}
	if begun, ok := w.Opened[volume]; ok {
		return s.present(begun), nil
	}
	return m, nil
}

// present returns a move as it is now.
func (s *Service) present(id cluster.MoveID) cluster.Move {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, _ := s.model.Moves.Get(id)
	return s.view().Merged(m)
}

// AbortMove takes back the wish for a move. The source undoes what it has done of it, and then
// the move ends. A move that is committed can't be aborted: cluster.ErrConflict. Aborting one
// that is rolled back is no error.
func (s *Service) AbortMove(ctx context.Context, id cluster.MoveID) (cluster.Move, error) {
	if _, err := s.update(ctx, func(w *rules.Write) error { return w.AbortMove(id) }); err != nil {
		return cluster.Move{}, fmt.Errorf("abort move: %w", err)
	}
	return s.present(id), nil
}

// Ready takes in the answer of a move's target to its preparation: it waits for data, or it
// refuses, which ends the move.
func (s *Service) Ready(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.ReadyReport) error {
	if err := cluster.Bound(&r); err != nil {
		return about(id, "ready", err)
	}
	_, err := s.updateBy(ctx, node, func(w *rules.Write) error { return w.Ready(node, id, r) })
	return about(id, "ready", err)
}

// Progress takes in where the source of a move stands. It may bring the move forward to the
// precopy phase or, after a hold, to the final one; an empty phase leaves it where it is. Only
// Hold and Commit lead to the others.
func (s *Service) Progress(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.ProgressReport) error {
	if err := cluster.Bound(&r); err != nil {
		return about(id, "progress", err)
	}
	if _, err := s.updateBy(ctx, node, func(w *rules.Write) error { return w.Progress(node, id, r) }); err != nil {
		return about(id, "progress", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, _ := s.model.Moves.Get(id); m.Phase.Ended() || m.Attempt != r.Attempt {
		return nil // it ended meanwhile
	}
	s.seen.Progress.Put(id, view.Progress{Attempt: r.Attempt, At: s.clock.now(), Reason: r.Reason, Stats: r.Stats})
	watched := s.movement(id)
	watched.revision = s.next()
	watched.changed.raise()
	return nil
}

// Failed takes in that an attempt did not work out and that the source is as it was before. When
// it returns nil, the attempt is over and will never commit, whatever is still under way. That
// is so, too, for an attempt that was over already.
func (s *Service) Failed(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.FailureReport) error {
	if err := cluster.Bound(&r); err != nil {
		return about(id, "failed", err)
	}
	_, err := s.updateBy(ctx, node, func(w *rules.Write) error { return w.Failed(node, id, r) })
	return about(id, "failed", err)
}

// Commit makes the target of a move the owner of its volume: the one point where a move cannot
// be undone any more. Asked again for the same attempt it answers the same. cluster.ErrConflict
// means that this attempt is over and will never be committed; cluster.ErrUnavailable that it
// may be later.
func (s *Service) Commit(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error) {
	if err := cluster.Bound(&r); err != nil {
		return cluster.Ownership{}, about(id, "commit", err)
	}
	fault.Point("control.commit.before")
	var o cluster.Ownership
	_, err := s.updateBy(ctx, node, func(w *rules.Write) (err error) {
		o, err = w.Commit(node, id, r)
		return err
	})
	if err != nil {
		return cluster.Ownership{}, about(id, "commit", err)
	}
	fault.Point("control.commit.after")
	return o, nil
}

// Hold makes all proxies hold new connections to a move's application, and waits a moment until
// they say that they do: a node says so by asking for what comes after the assignment with the hold.
// Those that have not are named, and the move goes on: without an endpoint their proxies wait by
// themselves. Hold may be called again.
func (s *Service) Hold(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.AttemptRequest) (wire.HoldResult, error) {
	if _, err := s.updateBy(ctx, node, func(w *rules.Write) error { return w.Hold(node, id, r) }); err != nil {
		return wire.HoldResult{}, about(id, "hold", err)
	}
	fault.Point("control.hold")
	result, err := s.awaitHold(ctx)
	return result, about(id, "hold", err)
}

// awaitHold waits until every node that asks for assignments acts on the routes as they are now.
func (s *Service) awaitHold(ctx context.Context) (result wire.HoldResult, err error) {
	patient, cancel := context.WithTimeout(ctx, s.options.Timing.Hold)
	defer cancel()
	var routes cluster.Revision
	err = s.await(patient, func() (*signal, error) {
		if routes == 0 {
			routes = s.shared.revision
		}
		if result = s.holding(routes); len(result.Missing) > 0 {
			return &s.watch.acks, nil
		}
		return nil, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = ctx.Err() // those that are missing are named
	}
	if err != nil {
		return wire.HoldResult{}, err
	}
	return result, nil
}

// holding says which nodes act on those routes. The caller holds mu.
func (s *Service) holding(routes cluster.Revision) wire.HoldResult {
	var result wire.HoldResult
	present := s.clock.now()
	for _, id := range records.Sorted(s.sessions) {
		n := s.sessions[id]
		switch {
		case n.Asked.IsZero() || present.Sub(n.Asked) > s.options.Timing.Liveness:
			// It does not watch, or is gone.
		case n.Acknowledged >= routes:
			result.Holding++
		default:
			result.Missing = append(result.Missing, id)
		}
	}
	return result
}

// about says which move and call an error is of.
func about(id cluster.MoveID, call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("move %s: %s: %w", id, call, err)
}
