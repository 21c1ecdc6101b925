package rules

import (
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// changeVolume changes a volume, named or by id, that is not deleted.
func (w *Write) changeVolume(nameOrID string, change func(*cluster.Volume) error) (cluster.Volume, error) {
	v, ok := w.VolumeNamed(nameOrID)
	if !ok {
		return v, w.NoVolume(nameOrID)
	}
	if err := w.suspended(v.ID); err != nil {
		return v, err
	}
	v.Snapshots = slices.Clone(v.Snapshots)
	if err := change(&v); err != nil {
		return v, err
	}
	w.SetVolume(v)
	return v, nil
}

// busy says why a volume must stay as it is: it is in use, on the move, or held. In use is by an
// application that is placed; with defined also by one that is not.
func (w *Write) busy(v cluster.Volume, defined bool) error {
	if m, open := w.onItsWay(v.ID); open {
		return w.moving(m)
	}
	if l, ok := w.Leases.Get(v.ID); ok && !l.Expired(w.View.Wall) {
		return fmt.Errorf("%w: a lease keeps it on %s %s", cluster.ErrConflict, w.Node(l.Node), Until(l))
	}
	o, _ := w.Ownerships.Get(v.ID)
	if err := w.mounted(o); err != nil {
		return err
	}
	app, used := w.User(v.ID)
	switch {
	case used && defined:
		err := fmt.Errorf("%w: application %s uses it", cluster.ErrConflict, app.Name)
		return cluster.WithHint(err, "take the application out of the application file, and deploy")
	case used && app.Node != "":
		err := fmt.Errorf("%w: application %s uses it on %s", cluster.ErrConflict, app.Name, w.Node(app.Node))
		return cluster.WithHint(err, fmt.Sprintf("stop it first: take %s out of the deployment file, and deploy", app.Name))
	}
	return nil
}

// moving says that a move is in the way. It can be given up only as long as it is not committed.
func (w *Write) moving(m cluster.Move) error {
	err := fmt.Errorf("%w: %s is moving to %s (%s)", cluster.ErrConflict, w.Mover(m), w.Node(m.To), m.Phase)
	if m.Phase.Committed() || m.Aborting {
		return cluster.WithHint(err, "wait for that move to end; what stands in its way says: drover status")
	}
	return cluster.WithHint(err, "wait for that move to end, or abort it: drover move abort "+string(m.ID))
}

// mounted says which containers of Docker use a volume on its owner, as that reported; nil if none do.
func (w *Write) mounted(o cluster.Ownership) error {
	users := w.View.Copies(o.Volume)[o.Owner].Users
	if len(users) == 0 {
		return nil
	}
	err := fmt.Errorf("%w: in use on %s by %s", cluster.ErrConflict, w.Node(o.Owner), records.List(users))
	return cluster.WithHint(err, "stop it there first")
}
