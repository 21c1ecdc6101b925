package control

import (
	"context"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/fault"
)

// Hold makes all proxies hold new connections to a move's application, and waits a moment until
// they say that they do: a node says so by asking for what comes after the slice with the hold.
// Those that have not are named, and the move goes on: without an endpoint their proxies wait by
// themselves. Hold may be called again.
func (s *Service) Hold(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.AttemptRequest) (wire.HoldResult, error) {
	_, err := s.update(ctx, func(d *draft) error {
		m, err := d.turn(id, node, true, r.Attempt)
		if err != nil {
			return err
		}
		return d.hold(m)
	})
	if err != nil {
		return wire.HoldResult{}, about(id, "hold", err)
	}
	fault.Point("control.hold")
	result, err := s.awaitHold(ctx)
	return result, about(id, "hold", err)
}

func (d *draft) hold(m cluster.Move) error {
	if m.Aborting {
		return fmt.Errorf("%w: the move is being aborted: %s", cluster.ErrConflict, m.Reason)
	}
	switch why := d.leased(m); {
	case m.Phase == cluster.PhaseHold || m.Phase == cluster.PhaseFinal:
		return nil
	case m.Phase != cluster.PhasePrecopy && !m.Ready:
		return fmt.Errorf("%w: the move is in its %s phase and %s is not ready", cluster.ErrConflict, m.Phase, d.model.node(m.To))
	case why != "":
		return fmt.Errorf("%w: %s", cluster.ErrConflict, why)
	}
	m.Phase, m.Reason, m.Held = cluster.PhaseHold, "", now()
	m.Deadline = m.Held.Add(d.service.options.Timing.cutOver())
	d.putMove(m)
	return nil
}

// awaitHold waits until every node that asks for slices acts on the routes as they are now.
func (s *Service) awaitHold(ctx context.Context) (wire.HoldResult, error) {
	timeout := time.NewTimer(s.options.Timing.hold())
	defer timeout.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	routes := s.watch.shared
	for patient := true; ; {
		result := s.holding(routes)
		if !patient || len(result.Missing) == 0 {
			return result, nil
		}
		acknowledged := s.watch.acks.wait()
		s.mu.Unlock()
		select {
		case <-acknowledged:
		case <-timeout.C:
			patient = false
		case <-ctx.Done():
		}
		s.mu.Lock()
		if err := ctx.Err(); err != nil {
			return wire.HoldResult{}, err
		}
	}
}

// holding says which nodes act on those routes. The caller holds mu.
func (s *Service) holding(routes cluster.Revision) wire.HoldResult {
	var result wire.HoldResult
	present := now()
	for _, id := range sorted(s.sessions) {
		n := s.sessions[id]
		switch {
		case n.asked.IsZero() || present.Sub(n.asked) > s.options.Timing.liveness():
			// It does not watch, or is gone.
		case n.acknowledged >= routes:
			result.Holding++
		default:
			result.Missing = append(result.Missing, id)
		}
	}
	return result
}
