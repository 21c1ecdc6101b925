package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

type volumeOptions struct {
	connectOptions
	outputOptions
	waitOptions
}

// A volumeCommand is a command below `drover volume` that is given a client.
type volumeCommand struct {
	use, short, long string
	args             int
	run              func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error
	// waits: it waits for a node to do something. options: -o gives an option of the volume, and not
	// the format of the output.
	waits, options bool
}

func (v volumeCommand) command() *cobra.Command {
	var o volumeOptions
	c := &cobra.Command{Use: v.use, Short: v.short, Long: v.long, Args: cobra.ExactArgs(v.args), RunE: func(c *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		control, err := o.client()
		if err != nil {
			return err
		}
		return v.run(c.Context(), o, control, args)
	}}
	o.connectOptions.addFlags(c.Flags())
	if v.options {
		c.Flags().StringVar(&o.format, "output", "text", "`FORMAT` of the output: text or json")
	} else {
		o.outputOptions.addFlags(c.Flags())
	}
	if v.waits {
		o.waitOptions.addFlags(c.Flags())
	}
	return c
}

func newVolume(io_ stdio) *cobra.Command {
	c := &cobra.Command{Use: "volume", Short: "Look at volumes; make, clone, roll back, resize and remove them"}
	c.AddCommand(newVolumeLs(io_), newVolumeInspect(io_), newVolumeCreate(io_), newVolumeAdopt(io_), newVolumeClone(io_),
		newVolumeRollback(io_), newVolumeResize(io_), newVolumeRm(io_), newVolumeUndelete(io_), newVolumeSnapshot(io_), newVolumeSnapshots(io_))
	return c
}

func newVolumeLs(io_ stdio) *cobra.Command {
	var deleted bool
	c := volumeCommand{use: "ls", short: "List the volumes", run: func(ctx context.Context, o volumeOptions, control *client.Client, _ []string) error {
		all, err := control.Volumes(ctx)
		if err != nil {
			return err
		}
		nodes, err := control.Nodes(ctx)
		if err != nil {
			return err
		}
		volumes := slices.DeleteFunc(all, func(v wire.VolumeStatus) bool { return v.Volume.Deleted != deleted })
		return o.print(io_.out, volumes, func(w io.Writer) {
			if deleted {
				printDeleted(w, volumes, nodes)
			} else {
				printVolumes(w, volumes, nodes)
			}
		})
	}}.command()
	c.Flags().BoolVar(&deleted, "deleted", false, "list those that were deleted instead")
	return c
}

func printVolumes(w io.Writer, volumes []wire.VolumeStatus, nodes []wire.NodeStatus) {
	table(w, "NAME\tID\tOWNER\tEPOCH\tAPPLICATION\tUSED\tLIMIT", func(row func(...any)) {
		for _, v := range volumes {
			row(volumeName(v.Volume), v.Volume.ID, nodeName(nodes, v.Ownership.Owner), v.Ownership.Epoch, dash(v.Application),
				bytes(ownersCopy(v).UsedBytes), limit(v.Volume.MaximumSize))
		}
	})
}

func printDeleted(w io.Writer, volumes []wire.VolumeStatus, nodes []wire.NodeStatus) {
	table(w, "NAME\tID\tOWNER\tDELETED\tCAN COME BACK UNTIL", func(row func(...any)) {
		for _, v := range volumes {
			at, until := v.Volume.DeletedAt, "-"
			if grace := trashGrace(v, nodes); grace > 0 && !at.IsZero() {
				until = at.Add(grace).Local().Format(time.DateTime)
			}
			row(volumeName(v.Volume), v.Volume.ID, nodeName(nodes, v.Ownership.Owner), ago(at), until)
		}
	})
}

// trashGrace is how long the owner of a volume keeps what was removed; zero if that is not known.
func trashGrace(v wire.VolumeStatus, nodes []wire.NodeStatus) time.Duration {
	n, _ := nodeOf(nodes, v.Ownership.Owner)
	return n.Node.TrashGrace
}

// ownersCopy returns what the owner last said of its copy.
func ownersCopy(v wire.VolumeStatus) cluster.VolumeState {
	for _, c := range v.Copies {
		if c.Node == v.Ownership.Owner {
			return c.Copy
		}
	}
	return cluster.VolumeState{}
}

func newVolumeInspect(io_ stdio) *cobra.Command {
	return volumeCommand{use: "inspect VOLUME", short: "Show all that is known of a volume", args: 1,
		run: func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error {
			v, err := control.Volume(ctx, args[0])
			if err != nil {
				return err
			}
			nodes, err := control.Nodes(ctx)
			if err != nil {
				return err
			}
			return o.print(io_.out, v, func(w io.Writer) { printVolume(w, v, nodes) })
		}}.command()
}

func printVolume(w io.Writer, v wire.VolumeStatus, nodes []wire.NodeStatus) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	line("volume", "%s", volumeName(v.Volume))
	line("id", "%s", v.Volume.ID)
	line("application", "%s", dash(v.Application))
	line("owner", "%s, epoch %d", nodeName(nodes, v.Ownership.Owner), v.Ownership.Epoch)
	line("wanted on", "%s", nodeName(nodes, v.Volume.Primary))
	line("limit", "%s", limit(v.Volume.MaximumSize))
	if v.Volume.Deleted {
		line("deleted", "%s", ago(v.Volume.DeletedAt))
	}
	if v.Volume.Profile != "" {
		line("profile", "%s", v.Volume.Profile)
	}
	for _, key := range slices.Sorted(maps.Keys(v.Volume.Options)) {
		line("option", "%s=%s", key, v.Volume.Options[key])
	}
	for _, key := range slices.Sorted(maps.Keys(v.Volume.Metadata)) {
		line("label", "%s=%s", key, v.Volume.Metadata[key])
	}
	if o := v.Volume.Origin; o != nil {
		line("origin", "%s", cmp.Or(o.Adopt, fmt.Sprintf("volume %s@%s", o.Volume, cmp.Or(o.Snapshot, "its content then"))))
	}
	if v.Move != nil {
		line("moving", "%s: to %s, %s %s", short(v.Move.ID), nodeName(nodes, v.Move.To), v.Move.Phase, moveReason(*v.Move))
	}
	fmt.Fprintln(w)
	table(w, "COPY ON\tROLE\tEPOCH\tOPEN\tUSED\tPATH\tWARNING", func(row func(...any)) {
		for _, c := range v.Copies {
			row(nodeName(nodes, c.Node), c.Copy.Role, c.Copy.Epoch, c.Copy.Open, bytes(c.Copy.UsedBytes), dash(c.Copy.Path), dash(c.Copy.Warning))
		}
	})
}
