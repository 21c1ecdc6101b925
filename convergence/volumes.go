package convergence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/volume"
)

// createVolume makes the first copy of a volume, from where it comes.
func (a *Agent) createVolume(ctx context.Context, s plan.Step) error {
	// The trash may not have been looked at when this was planned.
	trash, err := a.trash(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(trash, func(c volume.Copy) bool { return c.Volume == s.Volume }) {
		return fmt.Errorf("%w: a copy of volume %s is in the trash: it is not created anew in its place", cluster.ErrConflict, s.Volume)
	}
	owner, group, err := a.Runtime.Owner(s.Spec.Application)
	if err != nil {
		return err
	}
	o := volume.Options{MaximumSize: s.Limit, Owner: owner, Group: group, Labels: s.Labels, Profile: s.Wanted.Profile,
		Settings: volume.Settings(a.Backend.Properties().Name, s.Wanted.Options)}
	err = a.firstCopy(ctx, s.Volume, o, s.Wanted.Origin)
	if errors.Is(err, cluster.ErrExists) {
		return nil
	}
	return err
}

func (a *Agent) firstCopy(ctx context.Context, id cluster.VolumeID, o volume.Options, from *cluster.Origin) error {
	switch {
	case from == nil:
		return a.Backend.Create(ctx, id, o)
	case from.Adopt != "":
		b, ok := volume.As[volume.Adopter](a.Backend)
		if !ok {
			return a.cannot(cluster.AbilityAdopt)
		}
		return b.Adopt(ctx, id, o, from.Adopt)
	default:
		b, ok := volume.As[volume.Cloner](a.Backend)
		if !ok {
			return a.cannot(cluster.AbilityClone)
		}
		return b.Clone(ctx, id, o, from.Volume, from.Snapshot)
	}
}

func (a *Agent) rollbackVolume(ctx context.Context, s plan.Step) error {
	b, ok := volume.As[volume.Rollbacker](a.Backend)
	if !ok {
		return a.cannot(cluster.AbilityRollback)
	}
	return b.Rollback(ctx, s.Volume, s.Name, s.Wish)
}

// labelVolume is asked for where copies have labels only.
func (a *Agent) labelVolume(ctx context.Context, s plan.Step) error {
	b, ok := volume.As[volume.Labeler](a.Backend)
	if !ok {
		return a.cannot("label")
	}
	return b.Label(ctx, s.Volume, s.Labels)
}

// trash returns the removed copies that can be brought back.
func (a *Agent) trash(ctx context.Context) ([]volume.Copy, error) {
	b, ok := volume.As[volume.Trasher](a.Backend)
	if !ok {
		return nil, nil
	}
	return b.Trash(ctx)
}

func (a *Agent) restoreVolume(ctx context.Context, s plan.Step) error {
	b, ok := volume.As[volume.Trasher](a.Backend)
	if !ok {
		return a.cannot("restore")
	}
	return b.Restore(ctx, s.Volume, s.Epoch)
}

func (a *Agent) resizeVolume(ctx context.Context, s plan.Step) error {
	b, ok := volume.As[volume.Resizer](a.Backend)
	if !ok {
		return a.cannot("resize")
	}
	return b.Resize(ctx, s.Volume, s.Limit)
}

// cannot says that the backend lacks an ability, which the control service saw to before.
func (a *Agent) cannot(ability string) error {
	return fmt.Errorf("%w: backend %s cannot %s", cluster.ErrUnsupported, a.Backend.Properties().Name, ability)
}

func (a *Agent) openVolume(ctx context.Context, s plan.Step) error {
	fault.Point("promote.open")
	if s.Epoch == 1 { // of others the record says that they were there before
		if err := a.made.note(s.Volume); err != nil {
			return fmt.Errorf("note that volume %s was made: %w", s.Volume, err)
		}
	}
	_, err := a.Backend.Open(ctx, s.Volume, s.Epoch, s.Base)
	return err
}

func (a *Agent) snapshot(ctx context.Context, s plan.Step) error {
	_, err := a.Backend.Snapshot(ctx, s.Volume, s.Name, true)
	return err
}

func (a *Agent) demoteVolume(ctx context.Context, s plan.Step) error {
	return a.closing().Demote(ctx, s.Volume, s.Epoch)
}

func (a *Agent) removeVolume(ctx context.Context, s plan.Step) error {
	// What has been decided before a move came must not meet what that has brought.
	if a.receiver.Arrives(s.Volume) {
		return fmt.Errorf("%w: volume %s is on its way here", cluster.ErrConflict, s.Volume)
	}
	a.lookAtClock()
	return a.glances.takeAway(s.Volume, func() error { return a.Backend.Remove(ctx, s.Volume) })
}

// closeVolume closes a volume that nobody uses, and keeps users away meanwhile.
func (a *Agent) closeVolume(ctx context.Context, s plan.Step) error {
	if err := a.mounts.Block(s.Volume, fmt.Errorf("%w: the volume is being closed: %s", cluster.ErrUnavailable, s.Reason)); err != nil {
		return err
	}
	defer a.mounts.Unblock(s.Volume)
	return a.closing().Close(ctx, s.Volume)
}
