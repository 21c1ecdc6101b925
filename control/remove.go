package control

import (
	"context"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// DeleteVolume marks a volume, named or by id, as deleted: its copies go into the trash of their
// nodes.
func (s *Service) DeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "delete", nameOrID, func(d *draft, v *cluster.Volume) error {
		v.Deleted = true
		return d.busy(*v, true)
	})
}

// UndeleteVolume brings a deleted volume back: the one of that id, or the one of that name that was
// deleted last.
func (s *Service) UndeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error) {
	return s.writeVolume(ctx, "undelete", nameOrID, func(d *draft) (cluster.Volume, error) {
		v, err := d.model.deletedVolume(nameOrID)
		if err != nil {
			return v, err
		}
		if other, taken := d.model.volumeNamed(v.Name); taken && v.Name != "" {
			err := fmt.Errorf("%w: volume %s has the name %s now", cluster.ErrExists, other.ID, v.Name)
			if app, used := d.user(other.ID); used {
				err = fmt.Errorf("%w, and application %s uses it", err, app.Name)
			}
			return v, err
		}
		v.Deleted = false
		return v, nil
	})
}

func (m *model) deletedVolume(nameOrID string) (cluster.Volume, error) {
	var found cluster.Volume
	for v := range m.volumes.all() {
		named := v.Name == nameOrID && (found.ID == "" || v.DeletedAt.After(found.DeletedAt))
		if v.Deleted && (string(v.ID) == nameOrID || named) {
			found = v
		}
	}
	if found.ID != "" {
		return found, nil
	}
	if v, ok := m.volumeNamed(nameOrID); ok {
		return v, fmt.Errorf("%w: volume %s is not deleted", cluster.ErrConflict, name(v))
	}
	return found, fmt.Errorf("%w among the deleted ones", notFound("volume", nameOrID))
}

// ResizeVolume gives a volume another size limit; zero is none.
func (s *Service) ResizeVolume(ctx context.Context, nameOrID string, r wire.ResizeRequest) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "resize", nameOrID, func(d *draft, v *cluster.Volume) error {
		o, _ := d.ownerships.get(v.ID)
		used := d.service.copiesOf(v.ID)[o.Owner].UsedBytes
		switch {
		case r.MaximumSize < 0:
			return fmt.Errorf("%w: a limit of %d bytes: want more than zero, or zero for none", cluster.ErrInvalid, r.MaximumSize)
		case r.MaximumSize > 0 && r.MaximumSize < used:
			return fmt.Errorf("%w: it uses %s on %s, and %s would be less", cluster.ErrRefused, size(used), d.model.node(o.Owner), size(r.MaximumSize))
		}
		v.MaximumSize = r.MaximumSize
		return nil
	})
}

// dated returns a volume with the time of its deletion.
func dated(v, was cluster.Volume) cluster.Volume {
	switch {
	case !v.Deleted:
		v.DeletedAt = time.Time{}
	case was.Deleted:
		v.DeletedAt = was.DeletedAt
	default:
		v.DeletedAt = now()
	}
	return v
}
