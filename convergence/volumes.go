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
	trash, err := a.Backend.Trash(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(trash, func(c volume.Copy) bool { return c.Volume == s.Volume && c.Role == cluster.Primary }) {
		return fmt.Errorf("%w: a copy of volume %s is in the trash: it is not created anew in its place", cluster.ErrConflict, s.Volume)
	}
	owner, group, err := a.Runtime.Owner(s.Spec.Application)
	if err != nil {
		return err
	}
	o := volume.Options{LimitBytes: s.Limit, Owner: owner, Group: group, Labels: s.Labels, Profile: s.Wanted.Profile,
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
		b, ok := a.Backend.(volume.Adopter)
		if !ok {
			return a.cannot(cluster.AbilityAdopt)
		}
		return b.Adopt(ctx, id, o, from.Adopt)
	default:
		b, ok := a.Backend.(volume.Cloner)
		if !ok {
			return a.cannot(cluster.AbilityClone)
		}
		return b.Clone(ctx, id, o, from.Volume, from.Snapshot)
	}
}

func (a *Agent) rollbackVolume(ctx context.Context, s plan.Step) error {
	b, ok := a.Backend.(volume.Rollbacker)
	if !ok {
		return a.cannot(cluster.AbilityRollback)
	}
	return b.Rollback(ctx, s.Volume, s.Name, s.Wish)
}

// labelVolume is asked for where copies have labels only.
func (a *Agent) labelVolume(ctx context.Context, s plan.Step) error {
	b, ok := a.Backend.(volume.Labeler)
	if !ok {
		return a.cannot("label")
	}
	return b.Label(ctx, s.Volume, s.Labels)
}

// cannot says that the backend lacks an ability, which the control service saw to before.
func (a *Agent) cannot(ability string) error {
	return fmt.Errorf("%w: backend %s cannot %s", cluster.ErrUnsupported, a.Backend.Properties().Name, ability)
}

func (a *Agent) openVolume(ctx context.Context, s plan.Step) error {
	fault.Point("promote.open")
	_, err := a.Backend.Open(ctx, s.Volume, s.Epoch, s.Base)
	return err
}

func (a *Agent) snapshot(ctx context.Context, s plan.Step) error {
	_, err := a.Backend.Snapshot(ctx, s.Volume, s.Name, true)
	return err
}

func (a *Agent) demoteVolume(ctx context.Context, s plan.Step) error {
	err := a.Backend.Demote(ctx, s.Volume, s.Epoch)
	var diverged *volume.Diverged
	if errors.As(err, &diverged) {
		// The copy is safe under its new name, and this node has nothing left to demote.
		a.record(ctx, cluster.Event{Kind: "diverged", Volume: s.Volume,
			Message: fmt.Sprintf("the copy of %s is ahead of the owner's: %v", a.Node.Name, diverged)})
		return nil
	}
	return err
}
