package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

// await waits until a volume is as it shall be, and says on w what stands in the way.
func (o waitOptions) await(ctx context.Context, control *client.Client, v wire.VolumeStatus, w io.Writer, hint string, done func(wire.VolumeStatus) bool) (wire.VolumeStatus, error) {
	err := o.wait(ctx, "the node goes on with volume "+volumeName(v.Volume), hint, func(ctx context.Context) (err error) {
		v, err = awaitVolume(ctx, control, v, w, done)
		return err
	})
	return v, err
}

func awaitVolume(ctx context.Context, control *client.Client, v wire.VolumeStatus, w io.Writer, done func(wire.VolumeStatus) bool) (wire.VolumeStatus, error) {
	said, before := map[string]bool{}, map[string]bool{}
	for !done(v) {
		if v.Volume.Deleted {
			return v, fmt.Errorf("%w: volume %s was deleted meanwhile", cluster.ErrConflict, volumeName(v.Volume))
		}
		nodes, err := control.Nodes(ctx)
		if err != nil {
			return v, err
		}
		now := map[string]bool{}
		for _, line := range obstacles(v, nodes) {
			now[line] = true
			if before[line] && !said[line] { // what goes by at once is no obstacle
				said[line] = true
				fmt.Fprintln(w, line)
			}
		}
		before = now
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if v, err = control.Volume(ctx, string(v.Volume.ID)); err != nil {
			return v, err
		}
	}
	return v, nil
}

// obstacles says what keeps the owner of a volume from doing what is asked of it.
func obstacles(v wire.VolumeStatus, nodes []wire.NodeStatus) []string {
	var lines []string
	owner := cmp.Or(v.Ownership.Owner, v.Volume.Primary)
	for _, n := range nodes {
		add := func(format string, args ...any) {
			lines = append(lines, n.Node.Name+": "+inLine(fmt.Sprintf(format, args...)))
		}
		if n.Node.ID != owner && v.Ownership.Owner != "" {
			continue
		}
		if !n.Live {
			add("not heard of (last: %s)", heard(n))
		}
		if n.State.VolumesUnknown != "" {
			add("cannot see its volumes: %s", n.State.VolumesUnknown)
		}
		for _, step := range n.State.Steps {
			if step.Error != "" && (step.Subject == string(v.Volume.ID) || step.Subject == string(v.Application)) {
				add("%s: %s; it is tried again", step.Kind, step.Error)
			}
		}
		for _, c := range n.State.Conflicts {
			if c.Volume == v.Volume.ID {
				add("conflict: %s", c.What)
			}
		}
	}
	return lines
}
