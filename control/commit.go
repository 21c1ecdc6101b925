package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/fault"
)

// Commit makes the target of a move the owner of its volume: the one point where a move cannot
// be undone any more. Asked again for the same attempt it answers the same. cluster.ErrConflict
// means that this attempt is over and will never be committed; cluster.ErrUnavailable that it
// may be later.
func (s *Service) Commit(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error) {
	fault.Point("control.commit.before")
	var o cluster.Ownership
	_, err := s.update(ctx, func(d *draft) (err error) {
		o, err = d.commit(node, id, r)
		return err
	})
	if err != nil {
		return cluster.Ownership{}, about(id, "commit", err)
	}
	fault.Point("control.commit.after")
	return o, nil
}

func (d *draft) commit(node cluster.NodeID, id cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error) {
	m, err := d.turn(id, node, true, r.Attempt)
	o, _ := d.ownerships.get(m.Volume)
	next := cluster.Ownership{Volume: m.Volume, Owner: m.To, Epoch: m.Epoch + 1, Born: true, Base: r.Base}
	switch {
	case m.Phase.Committed() && node == m.From && r.Attempt == m.Attempt:
		return next, nil // though the volume may have moved on since
	case errors.Is(err, cluster.ErrStale):
		return o, fmt.Errorf("%w: %v", cluster.ErrConflict, err)
	case err != nil:
		return o, err
	case m.Aborting:
		return o, fmt.Errorf("%w: the move is being aborted: %s", cluster.ErrConflict, m.Reason)
	case m.Phase != cluster.PhaseHold && m.Phase != cluster.PhaseFinal:
		return o, fmt.Errorf("%w: the move is in its %s phase; clients must be held first", cluster.ErrConflict, m.Phase)
	case r.Epoch != m.Epoch || o.Epoch != m.Epoch || o.Owner != m.From:
		return o, fmt.Errorf("%w: the volume is owned by %s at epoch %d, the request is of epoch %d",
			cluster.ErrStale, d.model.node(o.Owner), o.Epoch, r.Epoch)
	case !d.service.live(m.To):
		return o, fmt.Errorf("%w: target %s has not been heard of for %s", cluster.ErrUnavailable,
			d.model.node(m.To), d.service.silence(m.To).Round(time.Second))
	}
	d.putOwnership(next)
	m.Phase, m.Reason, m.Deadline = cluster.PhasePromote, "", time.Time{}
	m.Committed, m.Figures = now(), r.Figures
	d.putMove(m)
	d.tell(m, "committed", "%s is owned by %s from epoch %d on", d.model.mover(m), d.model.node(m.To), next.Epoch)
	return next, nil
}
