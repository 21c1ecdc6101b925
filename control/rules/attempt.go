package rules

import (
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/wire"
)

// authorize returns the move if it is up to that node to say something of that attempt.
func (w *Write) authorize(id cluster.MoveID, node cluster.NodeID, source bool, attempt int) (cluster.Move, error) {
	m, ok := w.move(id)
	if said := w.View.Seen.Nodes.At(node); !ok && (w.Recovering() || said != nil && said.State == nil) {
		// It may have been committed: whoever asks must not take it for withdrawn. Of a node that has yet
		// to say what it has acted on there is no telling whether the store has gone back.
		return m, fmt.Errorf("%w: there is no move %s on record, and the store may have gone back", cluster.ErrUnavailable, id)
	}
	if !ok {
		return m, records.NotFound("move", id)
	}
	if _, later := w.owner(m.Volume); later {
		return m, fmt.Errorf("%w: %s", cluster.ErrUnavailable, w.View.Superseded(m.Volume))
	}
	role, who := "source", m.From
	if !source {
		role, who = "target", m.To
	}
	switch {
	case node != who:
		return m, fmt.Errorf("%w: node %s is not the %s of the move", cluster.ErrForbidden, node, role)
	case m.Happened():
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
func (w *Write) Ready(node cluster.NodeID, id cluster.MoveID, r wire.ReadyReport) error {
	m, err := w.authorize(id, node, false, r.Attempt)
	switch {
	case err != nil:
		return err
	case r.Refused == "" && m.Ready:
		return nil
	case m.Phase != cluster.PhasePrepare:
		return fmt.Errorf("%w: the move is in its %s phase", cluster.ErrConflict, m.Phase)
	case r.Refused != "":
		w.fail(m, fmt.Sprintf("%s refused: %s", w.Node(m.To), r.Refused), true)
		return nil
	}
	m.Ready = true
	w.putMove(m)
	return nil
}

// Progress takes in where the source of a move stands. It may bring the move forward to the
// precopy phase or, after a hold, to the final one; an empty phase leaves it where it is. Only
// Hold and Commit lead to the others.
func (w *Write) Progress(node cluster.NodeID, id cluster.MoveID, r wire.ProgressReport) error {
	m, err := w.authorize(id, node, true, r.Attempt)
	if err != nil {
		return err
	}
	next, err := nextPhase(m, r.Phase)
	if err != nil || next == m.Phase {
		return err
	}
	if next == cluster.PhasePrecopy {
		m.Deadline = w.View.Now.Add(w.View.Timing.Precopy)
	}
	m.Phase, m.Reason, m.Stats = next, r.Reason, r.Stats
	w.putMove(m)
	return nil
}

// Failed takes in that an attempt did not work out and that the source is as it was before. When
// it returns nil, the attempt is over and will never commit, whatever is still under way. That
// is so, too, for an attempt that was over already.
func (w *Write) Failed(node cluster.NodeID, id cluster.MoveID, r wire.FailureReport) error {
	m, err := w.authorize(id, node, true, r.Attempt)
	over := !m.Happened() && (m.Phase == cluster.PhaseRolledBack || r.Attempt < m.Attempt)
	switch {
	case over && node == m.From:
		return nil
	case err != nil:
		return err
	}
	m.Stats = r.Stats
	w.fail(m, r.Reason, r.Final)
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

// fail ends the present attempt. Unless another one may work, the move ends with it.
func (w *Write) fail(m cluster.Move, reason string, final bool) {
	switch {
	case m.Aborting:
		w.rollBack(m, m.Reason)
	case final:
		w.rollBack(m, reason)
	case m.Attempt >= cluster.MaxAttempts:
		w.rollBack(m, fmt.Sprintf("given up after %s: %s", cluster.Count(m.Attempt, "attempt"), reason))
	default:
		w.tell(m, "attempt failed", "attempt %d to move %s to %s failed: %s", m.Attempt, w.Mover(m), w.Node(m.To), reason)
		m.NotBefore = w.View.Now.Add(w.View.Timing.BackoffAfter(m.Attempt))
		m.Phase, m.Reason, m.Ready = cluster.PhaseWaiting, "tried again after a while: "+reason, false
		m.Deadline, m.Held = time.Time{}, time.Time{}
		m.Attempt++
		w.putMove(m)
	}
}

// rollBack ends a move that did not happen. The configuration goes back to what is, so that the
// move does not start again by itself at a time when nobody expects it. An aborted move is not
// what the configuration wants any more, so there is nothing to put back.
func (w *Write) rollBack(m cluster.Move, reason string) {
	m.Phase, m.Ended, m.Reason = cluster.PhaseRolledBack, w.View.Wall, reason
	m.Deadline, m.NotBefore = time.Time{}, time.Time{}
	w.putMove(m)
	restored := ""
	if !m.Aborting {
		w.wish(m.Volume, m.From)
		restored = "; the configuration was put back to that"
	}
	w.tell(m, "rolled back", "%s stays on %s: %s%s", w.Mover(m), w.Node(m.From), reason, restored)
}

// overdue says why the present attempt is given up; empty if it has time left.
func (w *Write) overdue(m cluster.Move) string {
	timing := w.View.Timing
	if silent := w.View.Silence(m.From); silent > timing.Liveness+timing.Away {
		return fmt.Sprintf("%s has not been heard of for %s", w.Node(m.From), silent.Round(time.Second))
	}
	var patience time.Duration
	var reason string
	switch m.Phase {
	case cluster.PhasePrepare:
		patience = timing.Prepare
		reason = fmt.Sprintf("%s did not get ready within %s", w.Node(m.To), patience)
		if m.Ready {
			reason = fmt.Sprintf("%s did not begin to ship within %s", w.Node(m.From), patience)
		}
	case cluster.PhasePrecopy:
		patience = timing.Precopy
		reason = fmt.Sprintf("%s reported no progress for %s", w.Node(m.From), patience)
	default:
		patience = timing.CutOver
		reason = fmt.Sprintf("it was not done within %s of the hold", patience)
	}
	deadline := m.Deadline
	// While the service was away nobody could keep a deadline.
	for _, earliest := range []time.Time{w.View.Started.Add(patience), w.lastProgress(m).Add(patience)} {
		if earliest.After(deadline) {
			deadline = earliest
		}
	}
	if w.View.Now.After(deadline) {
		return reason
	}
	return ""
}

// lastProgress returns when the source last reported progress in the precopy phase, the only one
// that lasts as long as there is any.
func (w *Write) lastProgress(m cluster.Move) time.Time {
	if p := w.View.Seen.Progress.At(m.ID); m.Phase == cluster.PhasePrecopy && p.Attempt == m.Attempt {
		return p.At
	}
	return time.Time{}
}
