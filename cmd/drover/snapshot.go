package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

func newSnapshot(io_ stdio) *cobra.Command {
	return group(&cobra.Command{Use: "snapshot", Short: "Make, list and remove snapshots of volumes that are kept"},
		newSnapshotCreate(io_), newSnapshotLs(io_), newSnapshotRm(io_))
}

// newVolumeSnapshot and newVolumeSnapshots are the commands as they were called at first.
func newVolumeSnapshot(io_ stdio) *cobra.Command {
	c := hidden("snapshot VOLUME NAME", newSnapshotCreate(io_))
	c.AddCommand(newSnapshotRm(io_))
	return c
}

func newVolumeSnapshots(io_ stdio) *cobra.Command {
	return hidden("snapshots VOLUME", newSnapshotLs(io_))
}

func hidden(use string, c *cobra.Command) *cobra.Command {
	c.Use, c.Hidden = use, true
	return c
}

// A heldSnapshot is a snapshot that is kept in the copy of one node.
type heldSnapshot struct {
	Node   string         `json:"node"`
	NodeID cluster.NodeID `json:"node_id"`
	cluster.Snapshot
}

// heldSnapshots returns the snapshots of a volume that are kept, of every copy, oldest first.
func heldSnapshots(v wire.VolumeStatus) []heldSnapshot {
	held := []heldSnapshot{}
	for _, c := range v.Copies {
		for _, s := range c.Copy.Snapshots {
			if s.Kept {
				held = append(held, heldSnapshot{Node: cmp.Or(v.Names[c.Node], string(c.Node)), NodeID: c.Node, Snapshot: s})
			}
		}
	}
	slices.SortStableFunc(held, func(a, b heldSnapshot) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node, b.Node))
	})
	return held
}

type snapshotCreateOptions struct {
	volumeOptions
	name string
}

func newSnapshotCreate(io_ stdio) *cobra.Command {
	o := snapshotCreateOptions{volumeOptions: volumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{
		Use:   "create VOLUME NAME",
		Short: "Make a snapshot and wait until it is there",
		Long:  `Make a snapshot of a volume, which is kept until it is removed, and wait until it is there.`,
	}, &o, runSnapshotCreate, &o.volume, &o.name)
}

func runSnapshotCreate(ctx context.Context, o snapshotCreateOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	name := cluster.SnapshotName(o.name)
	if err := control.RequestSnapshot(ctx, o.volume, wire.SnapshotRequest{Name: name}); err != nil {
		return err
	}
	v, err := control.Volume(ctx, o.volume)
	if err != nil {
		return err
	}
	made := func(v wire.VolumeStatus) int {
		return slices.IndexFunc(heldSnapshots(v), func(s heldSnapshot) bool { return s.Name == name && s.NodeID == v.Ownership.Owner })
	}
	v, err = o.await(ctx, control, v, o.err, seeSnapshots(o.volume), func(v wire.VolumeStatus) bool { return made(v) >= 0 })
	if err != nil {
		return err
	}
	s := heldSnapshots(v)[made(v)]
	return o.print(o.out, s, func(w io.Writer) { printSnapshots(w, []heldSnapshot{s}) })
}

// seeSnapshots is the hint of a command that no longer waits for a snapshot.
func seeSnapshots(volume string) string { return "see it with: drover snapshot ls " + volume }

type snapshotLsOptions struct {
	remoteOptions
	volume string
}

func newSnapshotLs(io_ stdio) *cobra.Command {
	o := snapshotLsOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "ls VOLUME", Short: "List the snapshots of a volume that are kept, and where"}, &o, runSnapshotLs, &o.volume)
}

func runSnapshotLs(ctx context.Context, o snapshotLsOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	v, err := control.Volume(ctx, o.volume)
	if err != nil {
		return err
	}
	held := heldSnapshots(v)
	return o.print(o.out, held, func(w io.Writer) { printSnapshots(w, held) })
}

type snapshotRmOptions struct {
	volumeOptions
	name string
}

func newSnapshotRm(io_ stdio) *cobra.Command {
	o := snapshotRmOptions{volumeOptions: volumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{
		Use:   "rm VOLUME NAME",
		Short: "Remove a snapshot that a user asked for, and wait until it is gone",
		Long: `Remove a snapshot that a user asked for from every node that holds it, and wait until it is gone from
those that are in touch. One that is not removes it when it is back.`,
	}, &o, runSnapshotRm, &o.volume, &o.name)
}

func runSnapshotRm(ctx context.Context, o snapshotRmOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	name := cluster.SnapshotName(o.name)
	v, err := control.DropSnapshot(ctx, o.volume, name)
	if err != nil {
		return err
	}
	var away []string // the nodes that hold it and are not in touch
	v, err = o.await(ctx, control, v, o.err, seeSnapshots(o.volume), func(v wire.VolumeStatus) bool {
		nodes, err := control.Nodes(ctx)
		away = nil
		for _, s := range heldSnapshots(v) {
			if n, _ := nodeOf(nodes, s.NodeID); s.Name == name && n.Live {
				return false
			} else if s.Name == name {
				away = append(away, s.Node)
			}
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return o.print(o.out, v, func(w io.Writer) {
		fmt.Fprintf(w, "volume %s: snapshot %s is removed\n", volumeName(v.Volume), name)
		for _, node := range away {
			fmt.Fprintf(w, "%s holds it still, and is not in touch: it removes it when it is back\n", node)
		}
	})
}

func printSnapshots(w io.Writer, snapshots []heldSnapshot) {
	table(w, "NAME\tNODE\tCREATED\tSIZE\tGUID", func(row func(...any)) {
		for _, s := range snapshots {
			row(s.Name, s.Node, s.Created.Local().Format(time.DateTime), bytes(s.Bytes), s.GUID)
		}
	})
}
