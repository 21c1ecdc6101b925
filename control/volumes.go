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
		return wire.VolumeStatus{}, fmt.Errorf("%w; the volumes are: %s", notFound("volume", nameOrID), list(s.model.volumeNames()))
	}
	return s.volumeStatus(v), nil
}

// volumeStatus collects what is known of a volume. The caller holds mu.
func (s *Service) volumeStatus(v cluster.Volume) wire.VolumeStatus {
	o, _ := s.model.ownerships.get(v.ID)
	app, _ := s.model.user(v.ID)
	status := wire.VolumeStatus{Volume: v, Ownership: o, Application: app.Name, Copies: []wire.CopyStatus{}}
	for _, node := range sorted(s.observed.copies[v.ID]) {
		status.Copies = append(status.Copies, wire.CopyStatus{Node: node, Copy: s.observed.copies[v.ID][node]})
	}
	if m, open := s.model.openMove(v.ID); open {
		m = s.progress[m.ID].merge(m)
		status.Move = &m
	}
	return status
}

// RequestSnapshot asks the owner of a volume, named or by id, to make a snapshot.
func (s *Service) RequestSnapshot(ctx context.Context, volume string, r wire.SnapshotRequest) error {
	_, err := s.update(ctx, func(d *draft) error {
		v, ok := d.model.volumeNamed(volume)
		if !ok {
			return fmt.Errorf("%w; the volumes are: %s", notFound("volume", volume), list(d.model.volumeNames()))
		}
		o, owned := d.ownerships.get(v.ID)
		switch {
		case !cluster.ValidName(string(r.Name)):
			return fmt.Errorf("%w: %q is not a valid name", cluster.ErrInvalid, r.Name)
		case !owned:
			return fmt.Errorf("%w: volume %s has no owner yet", cluster.ErrConflict, name(v))
		case slices.ContainsFunc(v.Snapshots, func(w cluster.SnapshotWish) bool { return w.Name == r.Name }):
			return fmt.Errorf("snapshot %s of volume %s %w", r.Name, name(v), cluster.ErrExists)
		}
		v.Snapshots = append(slices.Clone(v.Snapshots), cluster.SnapshotWish{Name: r.Name, Epoch: o.Epoch})
		d.putVolume(v)
		return nil
	})
	if err != nil {
		return fmt.Errorf("request a snapshot: %w", err)
	}
	return nil
}
