package convergence

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// closing is the backend for whoever closes volumes and gives them away: it closes none on which one of this
// agent's own applications runs, whoever believes to have stopped it. Not to know is no. And it tells of a
// copy that must be kept aside because it was written to all the same.
func (a *Agent) closing() volume.Backend { return closing{a.Backend, a} }

type closing struct {
	volume.Backend
	agent *Agent
}

// Unwrap implements volume.Wrapper.
func (c closing) Unwrap() volume.Backend { return c.Backend }

// Close implements volume.Backend.
func (c closing) Close(ctx context.Context, id cluster.VolumeID) error {
	instances, err := c.agent.Runtime.Instances(ctx)
	if err != nil {
		return fmt.Errorf("look who uses volume %s: %w", id, err)
	}
	for _, i := range instances {
		if i.Volume == id && i.Running {
			return fmt.Errorf("%w: close volume %s: %s runs on it", cluster.ErrConflict, id, i.Name)
		}
	}
	return c.Backend.Close(ctx, id)
}

// Demote implements volume.Backend. A copy that is kept aside is safe under its new name, and this node has
// nothing left to demote; nor has it where that was so before.
func (c closing) Demote(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	c.agent.lookAtClock()
	err := c.agent.glances.takeAway(id, func() error { return c.Backend.Demote(ctx, id, epoch) })
	var diverged *volume.Diverged
	switch {
	case errors.As(err, &diverged):
		c.agent.record(ctx, cluster.Event{Kind: "diverged", Volume: id,
			Message: fmt.Sprintf("the copy of %s is ahead of the owner's: %v", c.agent.Node.Name, diverged)})
		return nil
	case errors.Is(err, cluster.ErrNotFound):
		return nil
	}
	return err
}
