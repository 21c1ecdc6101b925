package rules

import (
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Hold makes all proxies hold new connections to a move's application.
func (w *Write) Hold(node cluster.NodeID, id cluster.MoveID, r wire.AttemptRequest) error {
	m, err := w.authorize(id, node, true, r.Attempt)
	if err != nil {
		return err
	}
	if m.Aborting {
		return fmt.Errorf("%w: the move is being aborted: %s", cluster.ErrConflict, m.Reason)
	}
	switch why := w.leased(m); {
	case m.Phase == cluster.PhaseHold || m.Phase == cluster.PhaseFinal:
		return nil
	case m.Phase != cluster.PhasePrecopy && !m.Ready:
		return fmt.Errorf("%w: the move is in its %s phase and %s is not ready", cluster.ErrConflict, m.Phase, w.Node(m.To))
	case why != "":
		return fmt.Errorf("%w: %s", cluster.ErrConflict, why)
	case !w.View.InTouch(m.To):
		// It could not be committed, and clients would have been held for nothing.
		return w.silent(m.To)
	}
	m.Phase, m.Reason, m.Held = cluster.PhaseHold, "", w.View.Now
	m.Deadline = m.Held.Add(w.View.Timing.CutOver)
	w.putMove(m)
	return nil
}
