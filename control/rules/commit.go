package rules

import (
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Commit makes the target of a move the owner of its volume: the one point where a move cannot be
// undone any more. Asked again for the same attempt it answers the same. cluster.ErrConflict means
// that this attempt is over and will never be committed; cluster.ErrUnavailable that it may be later.
func (w *Write) Commit(node cluster.NodeID, id cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error) {
	m, err := w.authorize(id, node, true, r.Attempt)
	o, _ := w.Ownerships.Get(m.Volume)
	next := cluster.Ownership{Volume: m.Volume, Owner: m.To, Epoch: m.Epoch + 1, Created: true, Base: r.Base}
	switch {
	case m.Happened() && node == m.From && r.Attempt == m.Attempt:
		return next, nil // though the volume may have moved on since
	case errors.Is(err, cluster.ErrStale):
		return o, fmt.Errorf("%w: %s", cluster.ErrConflict, cluster.Message(err))
	case err != nil:
		return o, err
	case m.Aborting:
		return o, fmt.Errorf("%w: the move is being aborted: %s", cluster.ErrConflict, m.Reason)
	case m.Phase != cluster.PhaseHold && m.Phase != cluster.PhaseFinal:
		return o, fmt.Errorf("%w: the move is in its %s phase; clients must be held first", cluster.ErrConflict, m.Phase)
	case r.Epoch != m.Epoch || o.Epoch != m.Epoch || o.Owner != m.From:
		return o, fmt.Errorf("%w: the volume is owned by %s at epoch %d, the request is of epoch %d",
			cluster.ErrStale, w.Node(o.Owner), o.Epoch, r.Epoch)
	case !w.View.InTouch(m.To):
		return o, w.silent(m.To)
	}
	w.putOwnership(next)
	m.Phase, m.Reason, m.Deadline = cluster.PhasePromote, "", time.Time{}
	m.Committed, m.Stats = w.View.Now, r.Stats
	w.putMove(m)
	w.tell(m, "committed", "%s is owned by %s from epoch %d on", w.Mover(m), w.Node(m.To), next.Epoch)
	return next, nil
}

// silent says that the target of a move is out of touch.
func (w *Write) silent(target cluster.NodeID) error {
	return fmt.Errorf("%w: target %s has not been heard of for %s", cluster.ErrUnavailable,
		w.Node(target), w.View.Silence(target).Round(time.Second))
}
