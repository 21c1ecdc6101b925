package control

import (
	"context"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// progress is what the source of a move reported last. It is not durable: a restarted service
// is told again.
type progress struct {
	attempt int
	at      time.Time
	reason  string
	figures cluster.Figures
}

// merge returns the move with the progress of its present attempt.
func (p progress) merge(m cluster.Move) cluster.Move {
	if p.attempt != m.Attempt || m.Phase.Ended() || m.Phase.Committed() || m.Phase == cluster.PhaseWaiting {
		return m
	}
	m.Figures = p.figures
	if p.reason != "" && !m.Aborting {
		m.Reason = p.reason
	}
	return m
}

func (s *Service) progressOf(id cluster.MoveID) progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress[id]
}

// turn returns the move if it is up to that node to say something of that attempt.
func (d *draft) turn(id cluster.MoveID, node cluster.NodeID, source bool, attempt int) (cluster.Move, error) {
	m, ok := d.move(id)
	if !ok {
		return m, notFound("move", id)
	}
	role, who := "source", m.From
	if !source {
		role, who = "target", m.To
	}
	switch {
	case node != who:
		return m, fmt.Errorf("%w: node %s is not the %s of the move", cluster.ErrForbidden, node, role)
	case m.Phase.Committed():
		return m, fmt.Errorf("%w: the move is committed", cluster.ErrConflict)
	case m.Phase.Ended():
		return m, fmt.Errorf("%w: the move was rolled back: %s", cluster.ErrConflict, m.Reason)
	case attempt != m.Attempt:
		return m, fmt.Errorf("%w: the move is at attempt %d, not %d", cluster.ErrStale, m.Attempt, attempt)
	}
	return m, nil
}

// Ready takes in the answer of a move's target to its preparation: it waits for data, or it
// refuses, which ends the move.
func (s *Service) Ready(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.ReadyReport) error {
	_, err := s.update(ctx, func(d *draft) error {
		m, err := d.turn(id, node, false, r.Attempt)
		switch {
		case err != nil:
			return err
		case r.Refused == "" && m.Ready:
			return nil
		case m.Phase != cluster.PhasePrepare:
			return fmt.Errorf("%w: the move is in its %s phase", cluster.ErrConflict, m.Phase)
		case r.Refused != "":
			d.fail(m, fmt.Sprintf("%s refused: %s", d.model.node(m.To), r.Refused), true)
			return nil
		}
		m.Ready = true
		d.putMove(m)
		return nil
	})
	return about(id, "ready", err)
}

// Progress takes in where the source of a move stands. It may bring the move forward to the
// precopy phase or, after a hold, to the final one; an empty phase leaves it where it is. Only
// Hold and Commit lead to the others.
func (s *Service) Progress(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.ProgressReport) error {
	_, err := s.update(ctx, func(d *draft) error {
		m, err := d.turn(id, node, true, r.Attempt)
		if err != nil {
			return err
		}
		next, err := nextPhase(m, r.Phase)
		if err != nil || next == m.Phase {
			return err
		}
		if next == cluster.PhasePrecopy {
			m.Deadline = now().Add(s.options.Timing.precopy())
		}
		m.Phase, m.Reason, m.Figures = next, r.Reason, r.Figures
		d.putMove(m)
		return nil
	})
	if err != nil {
		return about(id, "progress", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, _ := s.model.moves.get(id); m.Phase.Ended() || m.Attempt != r.Attempt {
		return nil // it ended meanwhile
	}
	s.progress[id] = progress{attempt: r.Attempt, at: now(), reason: r.Reason, figures: r.Figures}
	watched := s.movement(id)
	watched.revision = s.next()
	watched.changed.raise()
	return nil
}

// nextPhase returns the phase that a progress report leads to. One that arrives late leads
// nowhere.
func nextPhase(m cluster.Move, reported cluster.Phase) (cluster.Phase, error) {
	refused := fmt.Errorf("%w: a report cannot lead from %s to %s", cluster.ErrConflict, m.Phase, reported)
	switch reported {
	case "", m.Phase, cluster.PhasePrepare:
		return m.Phase, nil
	case cluster.PhasePrecopy:
		switch {
		case m.Phase.Holds():
			return m.Phase, nil
		case m.Phase == cluster.PhasePrepare && m.Ready && !m.Aborting:
			return reported, nil
		}
	case cluster.PhaseFinal:
		if m.Phase == cluster.PhaseHold && !m.Aborting {
			return reported, nil
		}
	case cluster.PhaseHold:
		if m.Phase == cluster.PhaseFinal {
			return m.Phase, nil
		}
	}
	return m.Phase, refused
}

// Failed takes in that an attempt did not work out and that the source is as it was before. When
// it returns nil, the attempt is over and will never commit, whatever is still under way. That
// is so, too, for an attempt that was over already.
func (s *Service) Failed(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.FailureReport) error {
	_, err := s.update(ctx, func(d *draft) error {
		m, err := d.turn(id, node, true, r.Attempt)
		over := m.Phase == cluster.PhaseRolledBack || !m.Phase.Committed() && r.Attempt < m.Attempt
		switch {
		case over && node == m.From:
			return nil
		case err != nil:
			return err
		}
		m.Figures = r.Figures
		d.fail(m, r.Reason, r.Final)
		return nil
	})
	return about(id, "failed", err)
}

// fail ends the present attempt. Unless another one may work, the move ends with it.
func (d *draft) fail(m cluster.Move, reason string, final bool) {
	switch {
	case m.Aborting:
		d.rollBack(m, m.Reason)
	case final:
		d.rollBack(m, reason)
	case m.Attempt >= cluster.MaxAttempts:
		d.rollBack(m, fmt.Sprintf("given up after %d attempts: %s", m.Attempt, reason))
	default:
		d.tell(m, "attempt failed", "attempt %d to move %s to %s failed: %s", m.Attempt, d.model.mover(m), d.model.node(m.To), reason)
		m.NotBefore = now().Add(d.service.options.Timing.backoff(m.Attempt))
		m.Phase, m.Reason, m.Ready = cluster.PhaseWaiting, "tried again after a while: "+reason, false
		m.Deadline, m.Held = time.Time{}, time.Time{}
		m.Attempt++
		d.putMove(m)
	}
}

// rollBack ends a move that did not happen. The configuration goes back to what is, so that the
// move does not start again by itself at a time when nobody expects it. An aborted move is not
// what the configuration wants any more, so there is nothing to put back.
func (d *draft) rollBack(m cluster.Move, reason string) {
	m.Phase, m.Ended, m.Reason = cluster.PhaseRolledBack, now(), reason
	m.Deadline, m.NotBefore = time.Time{}, time.Time{}
	d.putMove(m)
	restored := ""
	if !m.Aborting {
		d.wish(m.Volume, m.From)
		restored = "; the configuration was put back to that"
	}
	d.tell(m, "rolled back", "%s stays on %s: %s%s", d.model.mover(m), d.model.node(m.From), reason, restored)
}

// overdue says why the present attempt is given up; empty if it has time left.
func (d *draft) overdue(m cluster.Move) string {
	s, timing := d.service, d.service.options.Timing
	if silent := s.silence(m.From); silent > timing.liveness()+timing.away() {
		return fmt.Sprintf("%s has not been heard of for %s", d.model.node(m.From), silent.Round(time.Second))
	}
	var patience time.Duration
	var reason string
	switch m.Phase {
	case cluster.PhasePrepare:
		patience = timing.prepare()
		reason = fmt.Sprintf("%s did not get ready within %s", d.model.node(m.To), patience)
		if m.Ready {
			reason = fmt.Sprintf("%s did not begin to ship within %s", d.model.node(m.From), patience)
		}
	case cluster.PhasePrecopy:
		patience = timing.precopy()
		reason = fmt.Sprintf("%s reported no progress for %s", d.model.node(m.From), patience)
	default:
		patience = timing.cutOver()
		reason = fmt.Sprintf("it was not done within %s of the hold", patience)
	}
	deadline := m.Deadline
	// While the service was away nobody could keep a deadline.
	for _, earliest := range []time.Time{s.started.Add(patience), s.lastProgress(m).Add(patience)} {
		if earliest.After(deadline) {
			deadline = earliest
		}
	}
	if now().After(deadline) {
		return reason
	}
	return ""
}

// lastProgress returns when the source last reported progress in the precopy phase, the only one
// that lasts as long as there is any.
func (s *Service) lastProgress(m cluster.Move) time.Time {
	if p := s.progressOf(m.ID); m.Phase == cluster.PhasePrecopy && p.attempt == m.Attempt {
		return p.at
	}
	return time.Time{}
}

// about says which move and call an error is of.
func about(id cluster.MoveID, call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("move %s: %s: %w", id, call, err)
}
