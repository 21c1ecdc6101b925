package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// RequestMove places an application and its volume, or a volume, on another node, and returns
// the move that follows. An application without a volume is only placed there: the result is a
// move that is done, was never stored and has no id.
//
// Asked again for a move that is under way, it returns that one. While another move of the
// volume is under way the result is cluster.ErrConflict.
func (s *Service) RequestMove(ctx context.Context, r wire.MoveRequest) (cluster.Move, error) {
	var m cluster.Move
	var volume cluster.VolumeID
	d, err := s.update(ctx, func(d *draft) (err error) {
		to, err := d.resolve(r.To)
		if err != nil {
			return err
		}
		if volume, err = d.volumeToMove(r); err != nil {
			return err
		}
		if volume == "" {
			m, err = d.place(r.Application, to)
		} else {
			m, err = d.requestMove(r, volume, to)
		}
		return err
	})
	if err != nil {
		return cluster.Move{}, fmt.Errorf("move %s%s: %w", r.Application, r.Volume, err)
	}
	if begun, ok := d.opened[volume]; ok {
		return s.present(begun), nil
	}
	return m, nil
}

// present returns a move as it is now.
func (s *Service) present(id cluster.MoveID) cluster.Move {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, _ := s.model.moves.get(id)
	return s.progress[id].merge(m)
}

// volumeToMove returns the volume that a request is about; none for an application without one.
func (d *draft) volumeToMove(r wire.MoveRequest) (cluster.VolumeID, error) {
	if r.Application != "" {
		app, ok := d.applications.get(r.Application)
		if !ok {
			return "", fmt.Errorf("%w; the applications are: %s", notFound("application", r.Application), list(sorted(d.model.applications.rows)))
		}
		if app.Volume == nil {
			return "", nil
		}
		return app.Volume.Volume, nil
	}
	if r.Volume == "" {
		return "", fmt.Errorf("%w: name an application or a volume", cluster.ErrInvalid)
	}
	v, ok := d.model.volumeNamed(r.Volume)
	if !ok {
		return "", d.model.noVolume(r.Volume)
	}
	return v.ID, nil
}

func (m *model) volumeNames() []string {
	var names []string
	for v := range m.volumes.all() {
		if !v.Deleted {
			names = append(names, name(v))
		}
	}
	slices.Sort(names)
	return names
}

// resolve finds a node by its id, name or address.
func (d *draft) resolve(to string) (cluster.NodeID, error) {
	var found []cluster.NodeID
	var all []string
	for n := range d.model.nodes.all() {
		if string(n.ID) == to {
			return n.ID, nil
		}
		if n.Name == to || n.Address == to {
			found = append(found, n.ID)
		}
		all = append(all, fmt.Sprintf("%s (%s)", d.model.node(n.ID), n.Address))
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("%w; the nodes are: %s", notFound("node", to), list(all))
	default:
		return "", fmt.Errorf("%w: several nodes are called %q; name one by its id: %s", cluster.ErrConflict, to, list(found))
	}
}

// place puts an application without a volume on a node.
func (d *draft) place(name cluster.AppName, to cluster.NodeID) (cluster.Move, error) {
	app, _ := d.applications.get(name)
	if app.Node == to {
		return cluster.Move{}, d.alreadyThere(string(name), to)
	}
	from := app.Node
	app.Node = to
	d.putApplication(app)
	return d.notStored(app, from, "it has no volume to move"), nil
}

// notStored returns a move that says that there is nothing to move.
func (d *draft) notStored(app cluster.Application, from cluster.NodeID, why string) cluster.Move {
	return cluster.Move{Application: app.Name, From: from, To: app.Node, Phase: cluster.PhaseDone, Attempt: 1,
		Requested: now(), Ended: now(), Reason: fmt.Sprintf("placed on %s; %s", d.model.node(app.Node), why)}
}

// requestMove wishes a volume, and its user with it, to be on a node. It returns the move that
// is under way already, or one that is not stored if the volume is there.
func (d *draft) requestMove(r wire.MoveRequest, id cluster.VolumeID, to cluster.NodeID) (cluster.Move, error) {
	v, _ := d.volumes.get(id)
	o, owned := d.ownerships.get(id)
	if !owned {
		return cluster.Move{}, fmt.Errorf("%w: volume %s has no owner yet", cluster.ErrConflict, name(v))
	}
	if m, open := d.openMove(id); open {
		if m.To == to && !m.Aborting {
			return m, nil
		}
		err := fmt.Errorf("%w: %s is moving to %s (%s)", cluster.ErrConflict, d.model.mover(m), d.model.node(m.To), m.Phase)
		return cluster.Move{}, cluster.WithHint(err, "wait for that move to end, or abort it")
	}
	app, used := d.user(id)
	if o.Owner != to {
		err := d.mounted(o)
		if r.Alone {
			err = d.busy(v, false)
		}
		if err != nil {
			return cluster.Move{}, err
		}
	}
	starts := used && app.Name == r.Application && app.Node == ""
	switch {
	case o.Owner == to && v.Primary == to && !starts:
		return cluster.Move{}, d.alreadyThere(d.model.mover(cluster.Move{Application: app.Name, Volume: id}), to)
	case starts:
		app.Node = to
		d.putApplication(app)
	}
	d.wish(id, to)
	return d.notStored(app, o.Owner, "its volume is there"), nil
}

func (d *draft) alreadyThere(what string, node cluster.NodeID) error {
	return fmt.Errorf("%w: %s is on %s already", cluster.ErrConflict, what, d.model.node(node))
}

// wish makes a node the one where a volume, and its user if it runs anywhere, shall be.
func (d *draft) wish(id cluster.VolumeID, node cluster.NodeID) {
	v, _ := d.volumes.get(id)
	v.Primary = node
	d.putVolume(v)
	if app, ok := d.user(id); ok && app.Node != "" {
		app.Node = node
		d.putApplication(app)
	}
}

// AbortMove takes back the wish for a move. The source undoes what it has done of it, and then
// the move ends. A move that is committed can't be aborted: cluster.ErrConflict. Aborting one
// that is rolled back is no error.
func (s *Service) AbortMove(ctx context.Context, id cluster.MoveID) (cluster.Move, error) {
	_, err := s.update(ctx, func(d *draft) error {
		m, ok := d.move(id)
		switch {
		case !ok:
			return notFound("move", id)
		case m.Phase.Committed():
			return fmt.Errorf("%w: %s is owned by %s since the commit; it can only go forward", cluster.ErrConflict, d.model.mover(m), d.model.node(m.To))
		case m.Phase.Ended() || m.Aborting:
			return nil
		}
		m.Aborting, m.Reason = true, "aborted by a user"
		d.putMove(m)
		d.wish(m.Volume, m.From)
		return nil
	})
	if err != nil {
		return cluster.Move{}, fmt.Errorf("abort move: %w", err)
	}
	return s.present(id), nil
}
