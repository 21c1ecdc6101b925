package handoff

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// Applications come to a volume and leave it while its move waits, or is under way. So nothing here goes
// by which one the move was asked for with: what is on the volume is looked up when it is acted upon.

// users returns the instances that are on the volume now.
func (h *Handoff) users(ctx context.Context) ([]runtime.Instance, error) {
	all, err := h.Runtime.Instances(ctx)
	if err != nil {
		return nil, fmt.Errorf("look who uses the volume: %w", err)
	}
	var users []runtime.Instance
	for _, i := range all {
		if i.Volume == h.Move.Volume {
			users = append(users, i)
		}
	}
	return users, nil
}

func (h *Handoff) runs(ctx context.Context, name cluster.AppName) (bool, error) {
	users, err := h.users(ctx)
	for _, i := range users {
		if i.Name == name && i.Running {
			return true, nil
		}
	}
	return false, err
}

// standAlone keeps everybody else away from the volume from now on: what crashes while it is shipped is started
// again, and what is stopped is not.
func (h *Handoff) standAlone(ctx context.Context) error {
	if h.Alone == nil {
		return nil
	}
	release, err := h.Alone(ctx)
	if err != nil {
		return fmt.Errorf("wait for what is being done with the volume: %w", err)
	}
	h.release = release
	return nil
}

// stopUsers ends whatever runs on the volume.
func (h *Handoff) stopUsers(ctx context.Context) error {
	users, err := h.users(ctx)
	if err != nil {
		return err
	}
	for _, i := range users {
		if !i.Running {
			continue
		}
		if err := h.Runtime.Stop(ctx, i.Name); err != nil {
			if errors.Is(err, runtime.ErrStillRunning) {
				err = &Error{Final: true, cause: err}
			}
			return fmt.Errorf("stop %s: %w", i.Name, err)
		}
	}
	return nil
}

// removeUsers forgets what was on the volume, once that is another node's.
func (h *Handoff) removeUsers(ctx context.Context) error {
	users, err := h.users(ctx)
	for _, i := range users {
		err = errors.Join(err, h.Runtime.Remove(ctx, i.Name))
	}
	return err
}

// stillWanted refuses to stop anything for a target that has not got ready for what shall run there: the
// application came, or became another one, after it was asked.
func (h *Handoff) stillWanted() error {
	if h.Wanted == nil {
		return nil
	}
	now := h.Wanted()
	made := func(a cluster.Application) string { return cluster.Spec{Application: a}.Fingerprint() }
	if now.Name == "" || made(now) == made(h.Application) {
		return nil
	}
	return fmt.Errorf("%w: %s has changed since %s got ready for it", cluster.ErrUnavailable, now.Name, h.Target.Name)
}
