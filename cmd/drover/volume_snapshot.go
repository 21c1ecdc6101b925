package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

func newVolumeSnapshot(io_ stdio) *cobra.Command {
	c := volumeCommand{use: "snapshot VOLUME NAME", short: "Make a snapshot and wait until it is there", args: 2, waits: true,
		run: func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error {
			return runVolumeSnapshot(ctx, o, control, args[0], cluster.SnapshotName(args[1]), io_)
		}}.command()
	c.AddCommand(volumeCommand{use: "rm VOLUME NAME", short: "Remove a snapshot that a user asked for", args: 2,
		run: func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error {
			v, err := control.DropSnapshot(ctx, args[0], cluster.SnapshotName(args[1]))
			if err != nil {
				return err
			}
			return o.print(io_.out, v, func(w io.Writer) {
				fmt.Fprintf(w, "volume %s: snapshot %s is no longer wanted; the nodes that hold it remove it\n", volumeName(v.Volume), args[1])
			})
		}}.command())
	return c
}

func newVolumeSnapshots(io_ stdio) *cobra.Command {
	return volumeCommand{use: "snapshots VOLUME", short: "List the snapshots of a volume", args: 1,
		run: func(ctx context.Context, o volumeOptions, control *client.Client, args []string) error {
			snapshots, err := control.Snapshots(ctx, args[0])
			if err != nil {
				return err
			}
			return o.print(io_.out, snapshots, func(w io.Writer) { printSnapshots(w, snapshots) })
		}}.command()
}

// runVolumeSnapshot asks for a snapshot and waits until its owner has made it.
func runVolumeSnapshot(ctx context.Context, o volumeOptions, control *client.Client, volume string, name cluster.SnapshotName, io_ stdio) error {
	if err := control.RequestSnapshot(ctx, volume, wire.SnapshotRequest{Name: name}); err != nil {
		return err
	}
	v, err := control.Volume(ctx, volume)
	if err != nil {
		return err
	}
	made := func(v wire.VolumeStatus) int {
		return slices.IndexFunc(ownersCopy(v).Snapshots, func(s cluster.Snapshot) bool { return s.Name == name && s.Kept })
	}
	v, err = o.await(ctx, control, v, io_.err, func(v wire.VolumeStatus) bool { return made(v) >= 0 })
	if err != nil {
		return cluster.WithHint(err, "the owner makes it as soon as it can; see it with: drover volume snapshots "+volume)
	}
	s := ownersCopy(v).Snapshots[made(v)]
	return o.print(io_.out, s, func(w io.Writer) { printSnapshots(w, []cluster.Snapshot{s}) })
}

func printSnapshots(w io.Writer, snapshots []cluster.Snapshot) {
	table(w, "NAME\tCREATED\tSIZE\tGUID", func(row func(...any)) {
		for _, s := range snapshots {
			row(s.Name, s.Created.Local().Format(time.DateTime), bytes(s.Bytes), s.GUID)
		}
	})
}
