package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

type volumeOptions struct {
	connectOptions
	outputOptions
}

// volumeCommand is a command below `drover volume`: it is given a client.
func volumeCommand(use, short string, args cobra.PositionalArgs, run func(c *cobra.Command, o volumeOptions, control *client.Client, args []string) error) *cobra.Command {
	var o volumeOptions
	c := &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, args []string) error {
		control, err := o.client()
		if err != nil {
			return err
		}
		return run(c, o, control, args)
	}}
	o.connectOptions.addFlags(c.Flags())
	o.outputOptions.addFlags(c.Flags())
	return c
}

func newVolume(io_ stdio) *cobra.Command {
	c := &cobra.Command{Use: "volume", Short: "Look at volumes, and make snapshots of them"}
	c.AddCommand(
		volumeCommand("ls", "List the volumes", cobra.NoArgs,
			func(c *cobra.Command, o volumeOptions, control *client.Client, _ []string) error {
				return runVolumeLs(c, o, control, io_.out)
			}),
		volumeCommand("inspect VOLUME", "Show all that is known of a volume", cobra.ExactArgs(1),
			func(c *cobra.Command, o volumeOptions, control *client.Client, args []string) error {
				return runVolumeInspect(c, o, control, args[0], io_.out)
			}),
		volumeCommand("snapshot VOLUME NAME", "Make a snapshot and wait until it is there", cobra.ExactArgs(2),
			func(c *cobra.Command, o volumeOptions, control *client.Client, args []string) error {
				return runVolumeSnapshot(c, o, control, args[0], cluster.SnapshotName(args[1]), io_.out)
			}),
		volumeCommand("snapshots VOLUME", "List the snapshots of a volume", cobra.ExactArgs(1),
			func(c *cobra.Command, o volumeOptions, control *client.Client, args []string) error {
				snapshots, err := control.Snapshots(c.Context(), args[0])
				if err != nil {
					return err
				}
				return o.print(io_.out, snapshots, func(w io.Writer) { printSnapshots(w, snapshots) })
			}),
	)
	return c
}

func runVolumeLs(c *cobra.Command, o volumeOptions, control *client.Client, w io.Writer) error {
	volumes, err := control.Volumes(c.Context())
	if err != nil {
		return err
	}
	nodes, err := control.Nodes(c.Context())
	if err != nil {
		return err
	}
	return o.print(w, volumes, func(w io.Writer) {
		table(w, "NAME\tID\tOWNER\tEPOCH\tAPPLICATION\tUSED\tLIMIT", func(row func(...any)) {
			for _, v := range volumes {
				row(volumeName(v.Volume), v.Volume.ID, nodeName(nodes, v.Ownership.Owner), v.Ownership.Epoch, dash(v.Application),
					bytes(ownersCopy(v).UsedBytes), limit(v.Volume.MaximumSize))
			}
		})
	})
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

func runVolumeInspect(c *cobra.Command, o volumeOptions, control *client.Client, name string, w io.Writer) error {
	v, err := control.Volume(c.Context(), name)
	if err != nil {
		return err
	}
	nodes, err := control.Nodes(c.Context())
	if err != nil {
		return err
	}
	return o.print(w, v, func(w io.Writer) {
		fmt.Fprintf(w, "volume       %s\nid           %s\napplication  %s\nowner        %s, epoch %d\nwanted on    %s\nlimit        %s\n",
			volumeName(v.Volume), v.Volume.ID, dash(v.Application), nodeName(nodes, v.Ownership.Owner), v.Ownership.Epoch,
			nodeName(nodes, v.Volume.Primary), limit(v.Volume.MaximumSize))
		if v.Move != nil {
			fmt.Fprintf(w, "moving       %s: to %s, %s %s\n", short(v.Move.ID), nodeName(nodes, v.Move.To), v.Move.Phase, moveReason(*v.Move))
		}
		fmt.Fprintln(w)
		table(w, "COPY ON\tROLE\tEPOCH\tOPEN\tUSED\tPATH\tWARNING", func(row func(...any)) {
			for _, c := range v.Copies {
				row(nodeName(nodes, c.Node), c.Copy.Role, c.Copy.Epoch, c.Copy.Open, bytes(c.Copy.UsedBytes), dash(c.Copy.Path), dash(c.Copy.Warning))
			}
		})
	})
}

// runVolumeSnapshot asks for a snapshot and waits until its owner has made it.
func runVolumeSnapshot(c *cobra.Command, o volumeOptions, control *client.Client, volume string, name cluster.SnapshotName, w io.Writer) error {
	ctx := c.Context()
	if err := control.RequestSnapshot(ctx, volume, wire.SnapshotRequest{Name: name}); err != nil {
		return err
	}
	for {
		snapshots, err := control.Snapshots(ctx, volume)
		if err != nil {
			return err
		}
		for _, s := range snapshots {
			if s.Name == name {
				return o.print(w, s, func(w io.Writer) { printSnapshots(w, []cluster.Snapshot{s}) })
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the snapshot: %w; the owner makes it as soon as it can", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func printSnapshots(w io.Writer, snapshots []cluster.Snapshot) {
	table(w, "NAME\tCREATED\tSIZE\tGUID", func(row func(...any)) {
		for _, s := range snapshots {
			row(s.Name, s.Created.Local().Format(time.DateTime), bytes(s.Bytes), s.GUID)
		}
	})
}
