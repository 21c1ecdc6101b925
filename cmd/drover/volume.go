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
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// volumeOptions are those of a command that asks for something of a volume, and waits until its owner
// has done it.
type volumeOptions struct {
	waitingOptions
	volume string
}

func newVolume(io_ stdio) *cobra.Command {
	return group(&cobra.Command{Use: "volume", Short: "Look at volumes; make, clone, roll back, resize and remove them"},
		newVolumeLs(io_), newVolumeInspect(io_), newVolumeCreate(io_), newVolumeAdopt(io_), newVolumeClone(io_),
		newVolumeRollback(io_), newVolumeTakeover(io_), newVolumeResize(io_), newVolumeRm(io_), newVolumeUndelete(io_),
		newVolumeSnapshot(io_), newVolumeSnapshots(io_))
}

type volumeLsOptions struct {
	remoteOptions
	deleted bool
}

func (o *volumeLsOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	f.BoolVar(&o.deleted, "deleted", false, "list those that were deleted instead")
}

func newVolumeLs(io_ stdio) *cobra.Command {
	o := volumeLsOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "ls", Short: "List the volumes"}, &o, runVolumeLs)
}

func runVolumeLs(ctx context.Context, o volumeLsOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	all, err := control.Volumes(ctx)
	if err != nil {
		return err
	}
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	volumes := slices.DeleteFunc(all, func(v wire.VolumeStatus) bool { return v.Volume.Deleted != o.deleted })
	return o.print(o.out, volumes, func(w io.Writer) {
		if o.deleted {
			printDeleted(w, volumes, nodes)
		} else {
			printVolumes(w, volumes, nodes)
		}
	})
}

func printVolumes(w io.Writer, volumes []wire.VolumeStatus, nodes []wire.NodeStatus) {
	table(w, "NAME\tID\tOWNER\tEPOCH\tAPPLICATION\tUSED\tLIMIT", func(row func(...any)) {
		for _, v := range volumes {
			row(volumeName(v.Volume), v.Volume.ID, ownerName(v, nodes), v.Ownership.Epoch, dash(v.Application),
				bytes(ownersCopy(v).UsedBytes), limit(v.Volume.MaximumSize))
		}
	})
}

func printDeleted(w io.Writer, volumes []wire.VolumeStatus, nodes []wire.NodeStatus) {
	table(w, "NAME\tID\tOWNER\tDELETED\tCAN COME BACK UNTIL", func(row func(...any)) {
		for _, v := range volumes {
			at, until := v.Volume.DeletedAt, "-"
			if grace := trashGrace(v, nodes); grace > 0 && !at.IsZero() && canComeBack(v, nodes) {
				until = at.Add(grace).Local().Format(time.DateTime)
			}
			row(volumeName(v.Volume), v.Volume.ID, ownerName(v, nodes), ago(at), until)
		}
	})
}

// canComeBack reports whether the owner of a deleted volume may have what an undelete brings back.
func canComeBack(v wire.VolumeStatus, nodes []wire.NodeStatus) bool {
	n, _ := nodeOf(nodes, v.Ownership.Owner)
	return n.State.Trash == nil || slices.Contains(n.State.Trash, v.Volume.ID) || ownersCopy(v).Epoch > 0 && ownersCopy(v).Lost == ""
}

// trashGrace is how long the owner of a volume keeps what was removed; zero if that is not known.
func trashGrace(v wire.VolumeStatus, nodes []wire.NodeStatus) time.Duration {
	n, _ := nodeOf(nodes, v.Ownership.Owner)
	return n.Node.TrashGrace
}

// ownerName says what the owner of a volume is called, or was before it was removed.
func ownerName(v wire.VolumeStatus, nodes []wire.NodeStatus) string {
	if called := v.Names[v.Ownership.Owner]; called != "" {
		if _, there := nodeOf(nodes, v.Ownership.Owner); !there {
			return called + " (removed)"
		}
	}
	return nodeName(nodes, v.Ownership.Owner)
}

// ownersCopy returns what the owner last said of its copy.
func ownersCopy(v wire.VolumeStatus) cluster.Copy {
	for _, c := range v.Copies {
		if c.Node == v.Ownership.Owner {
			return c.Copy
		}
	}
	return cluster.Copy{}
}

type volumeInspectOptions struct {
	remoteOptions
	volume string
}

func newVolumeInspect(io_ stdio) *cobra.Command {
	o := volumeInspectOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "inspect VOLUME", Short: "Show all that is known of a volume"}, &o, runVolumeInspect, &o.volume)
}

func runVolumeInspect(ctx context.Context, o volumeInspectOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	v, err := control.Volume(ctx, o.volume)
	if err != nil {
		return err
	}
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	return o.print(o.out, v, func(w io.Writer) { printVolume(w, v, nodes) })
}

func printVolume(w io.Writer, v wire.VolumeStatus, nodes []wire.NodeStatus) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", what, inLine(fmt.Sprintf(format, args...)))
	}
	line("volume", "%s", volumeName(v.Volume))
	line("id", "%s", v.Volume.ID)
	line("application", "%s", dash(v.Application))
	line("owner", "%s, epoch %d", ownerName(v, nodes), v.Ownership.Epoch)
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
			row(nodeName(nodes, c.Node), c.Copy.Role, c.Copy.Epoch, c.Copy.Open, bytes(c.Copy.UsedBytes), dash(c.Copy.Path), dash(cmp.Or(c.Copy.Warning, takesOver(c.Copy))))
		}
	})
	printSetAside(w, v, nodes)
}

// printSetAside shows the copies that nodes have put away, and for how long they can be had.
func printSetAside(w io.Writer, v wire.VolumeStatus, nodes []wire.NodeStatus) {
	if len(v.SetAside) == 0 {
		return
	}
	fmt.Fprintln(w)
	table(w, "SET ASIDE ON\tWHY\tWHEN\tHELD\tGONE AFTER\tPATH", func(row func(...any)) {
		for _, s := range v.SetAside {
			n, _ := nodeOf(nodes, s.Node)
			until := "-"
			if n.Node.TrashGrace > 0 {
				until = s.Copy.At.Add(n.Node.TrashGrace).Local().Format(time.DateTime)
			}
			row(nodeName(nodes, s.Node), s.Copy.Why, ago(s.Copy.At), bytes(s.Copy.Bytes), until, s.Copy.Path)
		}
	})
	fmt.Fprintln(w, "What was set aside is no copy any more. To have its data back, copy it from its path there into a volume; to have")
	fmt.Fprintln(w, "its room at once, remove it there.")
}

// takesOver says of a replica that it cannot become the volume, if so.
func takesOver(c cluster.Copy) string {
	if c.Role == cluster.Replica && c.Head == "" {
		return "at no snapshot: a transfer is under way or was cut, and it cannot take over"
	}
	return ""
}
