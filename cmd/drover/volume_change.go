package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

func newVolumeRollback(io_ stdio) *cobra.Command {
	var force bool
	c := volumeCommand{use: "rollback VOLUME SNAPSHOT", short: "Make the content that of a snapshot again", args: 2, waits: true,
		long: `Make the content of a volume that of one of its snapshots again. What was written since is lost, and
later snapshots go: if a user asked for one of them, or another node needs it, that is refused without
--force. An application that uses the volume must be stopped first.`,
		run: func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error {
			v, err := control.RollbackVolume(ctx, args[0], wire.RollbackRequest{Snapshot: cluster.SnapshotName(args[1]), Force: force})
			if err != nil {
				return err
			}
			wish := v.Volume.Rollback.ID
			v, err = o.await(ctx, control, v, io_.err, func(v wire.VolumeStatus) bool {
				c := ownersCopy(v)
				return c.Rollback == wish && c.Open
			})
			if err != nil {
				return cluster.WithHint(err, "the node goes on; `drover status` says when it is done")
			}
			return printChanged(ctx, o, control, v, io_.out, "is at snapshot "+args[1]+" again")
		}}.command()
	c.Flags().BoolVar(&force, "force", false, "go back though others count on later snapshots")
	return c
}

func newVolumeResize(io_ stdio) *cobra.Command {
	return volumeCommand{use: "resize VOLUME SIZE", short: "Give a volume another size limit, or none", args: 2, waits: true,
		long: `Give a volume another size limit, a number of bytes, one with K, M, G or T, or "none", and wait until its
owner has set it. The next deploy of a file that has the volume's application sets what the file says.`,
		run: func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error {
			size, err := parseLimit(args[1])
			if err != nil {
				return err
			}
			v, err := control.ResizeVolume(ctx, args[0], wire.ResizeRequest{MaximumSize: size})
			if err != nil {
				return err
			}
			v, err = o.await(ctx, control, v, io_.err, func(v wire.VolumeStatus) bool {
				return !v.Ownership.Born || ownersCopy(v).LimitSize == size
			})
			if err != nil {
				return cluster.WithHint(err, "the node goes on; see it with: drover volume inspect "+args[0])
			}
			return printChanged(ctx, o, control, v, io_.out, "is resized")
		}}.command()
}

func newVolumeRm(io_ stdio) *cobra.Command {
	return volumeCommand{use: "rm VOLUME", short: "Delete a volume; for a while it can be undeleted", args: 1,
		run: func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error {
			v, err := control.DeleteVolume(ctx, args[0])
			if err != nil {
				return err
			}
			nodes, err := control.Nodes(ctx)
			if err != nil {
				return err
			}
			return o.print(io_.out, v, func(w io.Writer) {
				fmt.Fprintf(w, "volume %s is deleted; for %s this brings it back: drover volume undelete %s\n",
					volumeName(v.Volume), long(trashGrace(v, nodes)), volumeName(v.Volume))
			})
		}}.command()
}

// long says for how long something that was removed stays.
func long(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d <= 0:
		return "as long as its node keeps the trash"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	default:
		return d.String()
	}
}

func newVolumeUndelete(io_ stdio) *cobra.Command {
	return volumeCommand{use: "undelete VOLUME", short: "Bring a deleted volume back, by its name or id", args: 1, waits: true,
		long: `Bring a deleted volume back and wait until it is there. By a name it is the one that was deleted last;
"drover volume ls --deleted" lists the ids.`,
		run: func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error {
			v, err := control.UndeleteVolume(ctx, args[0])
			if err != nil {
				return err
			}
			v, err = o.await(ctx, control, v, io_.err, func(v wire.VolumeStatus) bool { return ownersCopy(v).Open })
			if err != nil {
				return cluster.WithHint(err, "the node goes on; see it with: drover volume inspect "+args[0])
			}
			return printChanged(ctx, o, control, v, io_.out, "is back")
		}}.command()
}
