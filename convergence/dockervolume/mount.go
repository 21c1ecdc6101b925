package dockervolume

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/agentsocket"
	"github.com/drover/drover/internal/sleep"
)

// Mount implements plugin.Cluster: it has the agent note the use of a volume that is here, and moves
// one here first that is not. To stop waiting stops no move: the next Mount goes on with it.
func (c *Host) Mount(ctx context.Context, name, mount string) (string, error) {
	for {
		if err := c.settle(); err != nil { // an engine uses the same mount again
			return "", err
		}
		if c.owes(mount) { // the agent would hear of the end after the beginning
			if sleep.For(ctx, 4*pause) == nil {
				continue
			}
			return "", agentsocket.ErrAway
		}
		path, err := c.Agent.Use(ctx, c.meant(ctx, name), mount)
		switch {
		case err == nil:
			return path, nil
		case errors.Is(err, cluster.ErrNotFound):
			err = c.bring(ctx, name)
		case errors.Is(err, agentsocket.ErrAway):
			if sleep.For(ctx, 4*pause) == nil {
				continue
			}
		}
		if err != nil {
			return "", err
		}
		if sleep.For(ctx, pause) != nil {
			return "", fmt.Errorf("%w: volume %s is this node's, but its agent has not heard of that yet", cluster.ErrUnavailable, name)
		}
	}
}

// meant returns the id of the volume that has a name now. The agent may not have heard yet that the one
// it knows by that name is deleted, and that another has it. While the control service does not
// answer, what the agent knows counts.
func (c *Host) meant(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	if v, err := c.Control.Volume(ctx, name); err == nil {
		return string(v.Volume.ID)
	}
	return name
}

// bring makes this node the owner of a volume. Who owns it already, or does from now on, has yet to
// hear of it.
func (c *Host) bring(ctx context.Context, name string) error {
	v, err := c.look(ctx, name)
	if err != nil || v.Ownership.Owner == c.Node || v.Ownership.Owner == "" {
		return err
	}
	if err := taken(v); err != nil {
		return err
	}
	var move cluster.Move
	err = c.patient(ctx, func() (err error) {
		move, err = c.Control.RequestMove(ctx, wire.MoveRequest{Volume: name, To: string(c.Node), Alone: true})
		return err
	})
	if errors.Is(err, cluster.ErrConflict) {
		if now, again := c.look(ctx, name); again == nil && now.Ownership.Owner == c.Node {
			return nil // it has just arrived
		}
	}
	if err != nil || move.ID == "" {
		return err
	}
	return c.awaitMove(ctx, v.Names[v.Ownership.Owner], move)
}

// taken says who uses a volume where it is, nil if nobody does. The control service and the owner
// look again, and their errors say more than somebody needs who started a container.
func taken(v wire.VolumeStatus) error {
	owner := v.Names[v.Ownership.Owner]
	for _, held := range v.Copies {
		if users := held.Copy.Users; held.Node == v.Ownership.Owner && len(users) > 0 {
			err := fmt.Errorf("it is in use on %s by %s", owner, strings.Join(users, ", "))
			return cluster.WithHint(err, "stop that first")
		}
	}
	return nil
}

// look returns a volume as it is.
func (c *Host) look(ctx context.Context, name string) (v wire.VolumeStatus, err error) {
	err = c.patient(ctx, func() error {
		v, err = c.Control.Volume(ctx, name)
		return err
	})
	if errors.Is(err, cluster.ErrUnavailable) || ctx.Err() != nil {
		brief, _, _ := c.volumes.find(name)
		if brief.Owner != "" {
			err = fmt.Errorf("it was on %s when last heard of, and cannot move here now: %w", brief.Owner, err)
		}
	}
	return v, err
}

// awaitMove waits until a move to this node is committed.
func (c *Host) awaitMove(ctx context.Context, from string, move cluster.Move) error {
	var since cluster.Revision
	for {
		m, revision, err := c.Control.Move(ctx, move.ID, since, pollWait)
		switch {
		case ctx.Err() != nil:
			return tooLong(from, move)
		case errors.Is(err, cluster.ErrUnavailable):
			_ = sleep.For(ctx, 4*pause)
			continue
		case err != nil:
			return err
		case revision == since:
			continue
		}
		since, move = revision, m
		switch {
		case move.Phase.Committed():
			return nil
		case move.Phase.Ended():
			return fmt.Errorf("it stays on %s: %s", from, move.Reason)
		}
	}
}

func tooLong(from string, m cluster.Move) error {
	shipped := m.Stats.PrecopiedBytes() + m.Stats.Final.Bytes
	err := fmt.Errorf("it is still on its way from %s (%s, %d MiB shipped, of %d MiB in all)", from, m.Phase, shipped>>20, m.Stats.EstimatedBytes>>20)
	if m.Reason != "" {
		err = fmt.Errorf("%w: %s", err, m.Reason)
	}
	return cluster.WithHint(err, "the move goes on; start the container again later, or see: drover move watch "+string(m.ID))
}
