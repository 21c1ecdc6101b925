package rules

import (
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/wire"
)

// RequestMove places an application and its volume, or a volume, on another node. It returns the
// volume that is to move and the move of it that is under way already; or, if there is nothing to
// move, a move that is done, is not stored and has no id.
func (w *Write) RequestMove(r wire.MoveRequest) (cluster.Move, cluster.VolumeID, error) {
	to, err := w.resolve(r.To)
	if err != nil {
		return cluster.Move{}, "", err
	}
	volume, err := w.volumeToMove(r)
	if err != nil {
		return cluster.Move{}, "", err
	}
	var m cluster.Move
	if volume == "" {
		m, err = w.place(r.Application, to)
	} else {
		m, err = w.requestMove(r, volume, to)
	}
	return m, volume, err
}

// volumeToMove returns the volume that a request is about; none for an application without one.
func (w *Write) volumeToMove(r wire.MoveRequest) (cluster.VolumeID, error) {
	if r.Application != "" {
		app, ok := w.Applications.Get(r.Application)
		if !ok {
			return "", w.NoApplication(r.Application)
		}
		if app.Volume == nil {
			return "", nil
		}
		return app.Volume.Volume, nil
	}
	if r.Volume == "" {
		return "", fmt.Errorf("%w: name an application or a volume", cluster.ErrInvalid)
	}
	v, ok := w.VolumeNamed(r.Volume)
	if !ok {
		return "", w.NoVolume(r.Volume)
	}
	return v.ID, nil
}

// resolve finds a node by its id, name or address.
func (w *Write) resolve(to string) (cluster.NodeID, error) {
	var found []cluster.NodeID
	var all []string
	for n := range w.Nodes.All() {
		if string(n.ID) == to {
			return n.ID, nil
		}
		if n.Name == to || n.Address == to {
			found = append(found, n.ID)
		}
		all = append(all, fmt.Sprintf("%s (%s)", w.Node(n.ID), n.Address))
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if r, removed := w.RemovedNamed(to); removed {
			return "", w.Admitted(r.ID)
		}
		return "", fmt.Errorf("%w; the nodes are: %s", records.NotFound("node", to), records.List(all))
	default:
		return "", fmt.Errorf("%w: several nodes are called %q; name one by its id: %s", cluster.ErrConflict, to, records.List(found))
	}
}

// place puts an application without a volume on a node.
func (w *Write) place(name cluster.AppName, to cluster.NodeID) (cluster.Move, error) {
	app, _ := w.Applications.Get(name)
	if app.Node == to {
		return cluster.Move{}, w.alreadyThere(string(name), to)
	}
	if err := w.mayStart(app, app.Node, to); err != nil {
		return cluster.Move{}, err
	}
	from, why := app.Node, "it has no volume to move"
	if from != "" && !w.View.InTouch(from) {
		why += fmt.Sprintf("; %s is not heard of, and may still run it until it is", w.Node(from))
	}
	app.Node = to
	w.putApplication(app)
	return w.notStored(app.Name, from, to, why), nil
}

// notStored returns a move that says that there is nothing to move.
func (w *Write) notStored(app cluster.AppName, from, to cluster.NodeID, why string) cluster.Move {
	return cluster.Move{Application: app, From: from, To: to, Phase: cluster.PhaseDone, Attempt: 1,
		Requested: w.View.Wall, Ended: w.View.Wall, Reason: fmt.Sprintf("placed on %s; %s", w.Node(to), why)}
}

// requestMove wishes a volume, and its user with it, to be on a node. It returns the move that
// is under way already, or one that is not stored if the volume is there.
func (w *Write) requestMove(r wire.MoveRequest, id cluster.VolumeID, to cluster.NodeID) (cluster.Move, error) {
	v, _ := w.Volumes.Get(id)
	o, owned := w.Ownerships.Get(id)
	if !owned {
		return cluster.Move{}, fmt.Errorf("%w: volume %s has no owner yet", cluster.ErrConflict, records.Name(v))
	}
	if err := w.suspended(id); err != nil {
		return cluster.Move{}, err
	}
	if m, open := w.openMove(id); open {
		if m.To == to && !m.Aborting {
			return m, nil
		}
		return cluster.Move{}, w.moving(m)
	}
	if lost := w.loss(o); o.Created && o.Owner != to && lost.Unknown == "" && lost.What != "" {
		err := fmt.Errorf("%w: owner %s has lost volume %s: %s", cluster.ErrConflict, w.Node(o.Owner), records.Name(v), lost.What)
		return cluster.Move{}, cluster.WithHint(err, fmt.Sprintf("put the copy back, or let a node with a replica take over: drover volume takeover %s NODE", records.Name(v)))
	}
	app, used := w.User(id)
	if o.Owner != to {
		err := w.mounted(o)
		switch {
		case r.Alone:
			err = w.busy(v, false)
		case used && err == nil:
			err = w.mayLeave(app, o.Owner)
		}
		if err != nil {
			return cluster.Move{}, err
		}
	}
	starts := used && app.Name == r.Application && app.Node == ""
	switch {
	case o.Owner == to && v.Primary == to && !starts:
		return cluster.Move{}, w.alreadyThere(w.Mover(cluster.Move{Application: app.Name, Volume: id}), to)
	case starts:
		app.Node = to
		w.putApplication(app)
	}
	w.wish(id, to)
	return w.notStored(app.Name, o.Owner, to, "its volume is there"), nil
}

func (w *Write) alreadyThere(what string, node cluster.NodeID) error {
	return fmt.Errorf("%w: %s is on %s already", cluster.ErrConflict, what, w.Node(node))
}

// wish makes a node the one where a volume, and its user if it runs anywhere, shall be.
func (w *Write) wish(id cluster.VolumeID, node cluster.NodeID) {
	v, _ := w.Volumes.Get(id)
	v.Primary = node
	w.SetVolume(v)
	if app, ok := w.User(id); ok && app.Node != "" {
		app.Node = node
		w.putApplication(app)
	}
}

// AbortMove takes back the wish for a move. The source undoes what it has done of it, and then the
// move ends.
func (w *Write) AbortMove(id cluster.MoveID) error {
	m, ok := w.move(id)
	switch {
	case !ok:
		return records.NotFound("move", id)
	case m.Phase.Committed():
		err := fmt.Errorf("%w: %s is owned by %s since the commit; it can only go forward", cluster.ErrConflict, w.Mover(m), w.Node(m.To))
		return cluster.WithHint(err, "what stands in its way says: drover status")
	case m.Phase.Ended() || m.Aborting:
		return nil
	}
	m.Aborting, m.Reason = true, "aborted by a user"
	w.putMove(m)
	w.wish(m.Volume, m.From)
	return nil
}
