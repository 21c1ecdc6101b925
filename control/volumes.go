package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Volumes returns every volume, deleted ones too, by name.
func (s *Service) Volumes() []wire.VolumeStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []wire.VolumeStatus{}
	for v := range s.model.volumes.all() {
		out = append(out, s.volumeStatus(v))
	}
	slices.SortFunc(out, func(a, b wire.VolumeStatus) int {
		return cmp.Or(cmp.Compare(a.Volume.Name, b.Volume.Name), cmp.Compare(a.Volume.ID, b.Volume.ID))
	})
	return out
}

// Volume returns the volume of that name, or that id; by its id a deleted one too.
func (s *Service) Volume(nameOrID string) (wire.VolumeStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.model.volumeNamed(nameOrID)
	if !ok {
		v, ok = s.model.volumes.get(cluster.VolumeID(nameOrID))
	}
	if !ok {
		return wire.VolumeStatus{}, s.model.noVolume(nameOrID)
	}
	return s.volumeStatus(v), nil
}

// volumeStatus collects what is known of a volume. The caller holds mu.
func (s *Service) volumeStatus(v cluster.Volume) wire.VolumeStatus {
	o, _ := s.model.ownerships.get(v.ID)
	app, _ := s.model.user(v.ID)
	status := wire.VolumeStatus{Volume: v, Ownership: o, Application: app.Name, Copies: []wire.CopyStatus{}, Names: map[cluster.NodeID]string{}}
	status.Names[o.Owner] = s.model.node(o.Owner)
	for _, node := range sorted(s.observed.copies[v.ID]) {
		status.Names[node] = s.model.node(node)
		status.Copies = append(status.Copies, wire.CopyStatus{Node: node, Copy: s.observed.copies[v.ID][node]})
	}
	if m, open := s.model.openMove(v.ID); open {
		m = s.progress[m.ID].merge(m)
		status.Move, status.Names[m.To] = &m, s.model.node(m.To)
	}
	return status
}

// noVolume says that there is no such volume, and which there are.
func (m *model) noVolume(nameOrID string) error {
	return fmt.Errorf("%w; the volumes are: %s", notFound("volume", nameOrID), list(m.volumeNames()))
}

// changeVolume changes a volume, named or by id, that is not deleted, as one write.
func (s *Service) changeVolume(ctx context.Context, call, nameOrID string, change func(*draft, *cluster.Volume) error) (wire.VolumeStatus, error) {
	return s.writeVolume(ctx, call, nameOrID, func(d *draft) (cluster.Volume, error) {
		v, ok := d.model.volumeNamed(nameOrID)
		if !ok {
			return v, d.model.noVolume(nameOrID)
		}
		v.Snapshots = slices.Clone(v.Snapshots)
		err := change(d, &v)
		return v, err
	})
}

// writeVolume writes the volume that make returns.
func (s *Service) writeVolume(ctx context.Context, call, nameOrID string, make func(*draft) (cluster.Volume, error)) (wire.VolumeStatus, error) {
	var id cluster.VolumeID
	_, err := s.update(ctx, func(d *draft) error {
		v, err := make(d)
		if err == nil {
			id = v.ID
			d.putVolume(v)
		}
		return err
	})
	if err != nil {
		return wire.VolumeStatus{}, fmt.Errorf("%s volume %s: %w", call, nameOrID, err)
	}
	return s.Volume(string(id))
}

// busy says why a volume must stay as it is: it is in use, on the move, or held. In use is by an
// application that is placed; with defined also by one that is not.
func (d *draft) busy(v cluster.Volume, defined bool) error {
	if m, open := d.openMove(v.ID); open {
		err := fmt.Errorf("%w: %s is moving to %s (%s)", cluster.ErrConflict, d.model.mover(m), d.model.node(m.To), m.Phase)
		return cluster.WithHint(err, "wait for that move to end, or abort it: drover move abort "+string(m.ID))
	}
	if l, ok := d.leases.get(v.ID); ok && !l.Expired(now()) {
		return fmt.Errorf("%w: a lease keeps it on %s %s", cluster.ErrConflict, d.model.node(l.Node), until(l))
	}
	o, _ := d.ownerships.get(v.ID)
	if err := d.mounted(o); err != nil {
		return err
	}
	app, used := d.user(v.ID)
	switch {
	case used && defined:
		err := fmt.Errorf("%w: application %s uses it", cluster.ErrConflict, app.Name)
		return cluster.WithHint(err, "take the application out of the application file, and deploy")
	case used && app.Node != "":
		err := fmt.Errorf("%w: application %s uses it on %s", cluster.ErrConflict, app.Name, d.model.node(app.Node))
		return cluster.WithHint(err, fmt.Sprintf("stop it first: take %s out of the deployment file, and deploy", app.Name))
	}
	return nil
}

// mounted says which containers of Docker use a volume on its owner, as that reported; nil if none do.
func (d *draft) mounted(o cluster.Ownership) error {
	users := d.service.copiesOf(o.Volume)[o.Owner].Users
	if len(users) == 0 {
		return nil
	}
	err := fmt.Errorf("%w: in use on %s by %s", cluster.ErrConflict, d.model.node(o.Owner), list(users))
	return cluster.WithHint(err, "stop it there first")
}
