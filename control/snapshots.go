package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// RequestSnapshot asks the owner of a volume, named or by id, to make a snapshot.
func (s *Service) RequestSnapshot(ctx context.Context, volume string, r wire.SnapshotRequest) error {
	_, err := s.changeVolume(ctx, "make a snapshot of", volume, func(d *draft, v *cluster.Volume) error {
		o, owned := d.ownerships.get(v.ID)
		switch {
		case !cluster.ValidName(string(r.Name)):
			return fmt.Errorf("%w: %q is not a valid name", cluster.ErrInvalid, r.Name)
		case !owned:
			return fmt.Errorf("%w: volume %s has no owner yet", cluster.ErrConflict, name(*v))
		case wished(*v, r.Name):
			return fmt.Errorf("snapshot %s of volume %s %w", r.Name, name(*v), cluster.ErrExists)
		}
		v.Snapshots = append(v.Snapshots, cluster.SnapshotWish{Name: r.Name, Epoch: o.Epoch})
		return nil
	})
	return err
}

// DropSnapshot takes back the wish for a snapshot: whoever holds it removes it.
func (s *Service) DropSnapshot(ctx context.Context, volume string, snapshot cluster.SnapshotName) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "drop a snapshot of", volume, func(d *draft, v *cluster.Volume) error {
		switch {
		case !wished(*v, snapshot):
			return fmt.Errorf("%w; those that users asked for are: %s", notFound("snapshot", snapshot), list(wishes(*v)))
		case d.rollingBack(*v) && v.Rollback.Snapshot == snapshot:
			return fmt.Errorf("%w: the volume is going back to it", cluster.ErrConflict)
		}
		forgetWishes(v, snapshot)
		return nil
	})
}

func wished(v cluster.Volume, snapshot cluster.SnapshotName) bool {
	return slices.Contains(wishes(v), snapshot)
}

func wishes(v cluster.Volume) []cluster.SnapshotName {
	var names []cluster.SnapshotName
	for _, wish := range v.Snapshots {
		names = append(names, wish.Name)
	}
	return names
}

func forgetWishes(v *cluster.Volume, snapshots ...cluster.SnapshotName) {
	v.Snapshots = slices.DeleteFunc(v.Snapshots, func(w cluster.SnapshotWish) bool { return slices.Contains(snapshots, w.Name) })
}
