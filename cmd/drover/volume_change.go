package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

type volumeRollbackOptions struct {
	volumeOptions
	snapshot string
	force    bool
}

func (o *volumeRollbackOptions) addFlags(f *pflag.FlagSet) {
	o.volumeOptions.addFlags(f)
	f.BoolVar(&o.force, "force", false, "go back though others count on later snapshots")
}

func newVolumeRollback(io_ stdio) *cobra.Command {
	o := volumeRollbackOptions{volumeOptions: volumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{
		Use:   "rollback VOLUME SNAPSHOT",
		Short: "Make the content that of a snapshot again",
		Long: `Make the content of a volume that of one of its snapshots again. What was written since is lost, and
later snapshots go: if a user asked for one of them, or another node needs it, that is refused without
--force. An application that uses the volume must be stopped first.`,
	}, &o, runVolumeRollback, &o.volume, &o.snapshot)
}

func runVolumeRollback(ctx context.Context, o volumeRollbackOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	v, err := control.RollbackVolume(ctx, o.volume, wire.RollbackRequest{Snapshot: cluster.SnapshotName(o.snapshot), Force: o.force})
	if err != nil {
		return err
	}
	wish := v.Volume.Rollback.ID
	v, err = o.await(ctx, control, v, o.err, "`drover status` says when it is done", func(v wire.VolumeStatus) bool {
		c := ownersCopy(v)
		return c.Rollback == wish && c.Open
	})
	if err != nil {
		return err
	}
	return printChanged(ctx, o.remoteOptions, control, v, "is at snapshot "+o.snapshot+" again")
}

type volumeTakeoverOptions struct {
	volumeOptions
	node  string
	older bool
}

func (o *volumeTakeoverOptions) addFlags(f *pflag.FlagSet) {
	o.volumeOptions.addFlags(f)
	f.BoolVar(&o.older, "older", false, "take this replica though another node has a newer one")
}

func newVolumeTakeover(io_ stdio) *cobra.Command {
	o := volumeTakeoverOptions{volumeOptions: volumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{
		Use:   "takeover VOLUME NODE",
		Short: "Let a node with a replica go on for an owner that has lost its copy",
		Long: `Make a node that holds a replica of a volume its owner, because the present owner says that it has lost
its copy: "drover status" shows that as a conflict. What was written after the replica's last snapshot is
lost; the event says of how long that is. Of an owner that has its copy, or that is not heard of, nothing
is taken, nor is a replica that is behind another one, but for --older. If the lost copy comes back, it is kept aside under another name, and reported.`,
	}, &o, runVolumeTakeover, &o.volume, &o.node)
}

func runVolumeTakeover(ctx context.Context, o volumeTakeoverOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	v, err := control.TakeOverVolume(ctx, o.volume, wire.TakeoverRequest{Node: o.node, Older: o.older})
	if err != nil {
		return err
	}
	epoch := v.Ownership.Epoch
	v, err = o.await(ctx, control, v, o.err, seeVolume(o.volume), func(v wire.VolumeStatus) bool {
		c := ownersCopy(v)
		return c.Open && c.Epoch >= epoch
	})
	if err != nil {
		return err
	}
	return printChanged(ctx, o.remoteOptions, control, v, "goes on from its replica")
}

type volumeResizeOptions struct {
	volumeOptions
	size string
}

func newVolumeResize(io_ stdio) *cobra.Command {
	o := volumeResizeOptions{volumeOptions: volumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{
		Use:   "resize VOLUME SIZE",
		Short: "Give a volume another size limit, or none",
		Long: `Give a volume another size limit, a number of bytes, one with K, M, G or T, or "none", and wait until its
owner has set it. The next deploy of a file that has the volume's application sets what the file says.`,
	}, &o, runVolumeResize, &o.volume, &o.size)
}

func runVolumeResize(ctx context.Context, o volumeResizeOptions) error {
	size, err := parseLimit(o.size)
	if err != nil {
		return err
	}
	control, err := o.client()
	if err != nil {
		return err
	}
	v, err := control.ResizeVolume(ctx, o.volume, wire.ResizeRequest{MaximumSize: size})
	if err != nil {
		return err
	}
	v, err = o.await(ctx, control, v, o.err, seeVolume(o.volume), func(v wire.VolumeStatus) bool {
		return !v.Ownership.Created || ownersCopy(v).MaximumSize == size
	})
	if err != nil {
		return err
	}
	return printChanged(ctx, o.remoteOptions, control, v, "is resized")
}

// seeVolume is the hint of a command that no longer waits for a volume.
func seeVolume(volume string) string { return "see it with: drover volume inspect " + volume }

type volumeRmOptions struct {
	remoteOptions
	volume string
}

func newVolumeRm(io_ stdio) *cobra.Command {
	o := volumeRmOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "rm VOLUME", Short: "Delete a volume; for a while it can be undeleted"}, &o, runVolumeRm, &o.volume)
}

func runVolumeRm(ctx context.Context, o volumeRmOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	v, err := control.DeleteVolume(ctx, o.volume)
	if err != nil {
		return err
	}
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	return o.print(o.out, v, func(w io.Writer) { printRemoved(w, v, nodes) })
}

// printRemoved promises to bring back only what the owner has said that it has.
func printRemoved(w io.Writer, v wire.VolumeStatus, nodes []wire.NodeStatus) {
	name := volumeName(v.Volume)
	if c := ownersCopy(v); v.Ownership.Created && (c.Lost != "" || c.Epoch == 0) {
		fmt.Fprintf(w, "volume %s is deleted, and cannot be undeleted: its owner %s has no copy that can be used: %s\n",
			name, nodeName(nodes, v.Ownership.Owner), inLine(cmp.Or(c.Lost, c.Warning, "it has reported none")))
		return
	}
	fmt.Fprintf(w, "volume %s is deleted; for %s this brings it back: drover volume undelete %s\n", name, long(trashGrace(v, nodes)), name)
}

// long says for how long something that was removed stays.
func long(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d <= 0:
		return "as long as its node keeps the trash"
	case d%day == 0:
		return cluster.Count(int(d/day), "day")
	default:
		return d.String()
	}
}

type volumeUndeleteOptions struct{ volumeOptions }

func newVolumeUndelete(io_ stdio) *cobra.Command {
	o := volumeUndeleteOptions{volumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{
		Use:   "undelete VOLUME",
		Short: "Bring a deleted volume back, by its name or id",
		Long: `Bring a deleted volume back and wait until it is there. By a name it is the one that was deleted last;
"drover volume ls --deleted" lists the ids.`,
	}, &o, runVolumeUndelete, &o.volume)
}

func runVolumeUndelete(ctx context.Context, o volumeUndeleteOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	v, err := control.UndeleteVolume(ctx, o.volume)
	if err != nil {
		return err
	}
	v, err = o.await(ctx, control, v, o.err, seeVolume(o.volume), func(v wire.VolumeStatus) bool { return ownersCopy(v).Open })
	if err != nil {
		return err
	}
	return printChanged(ctx, o.remoteOptions, control, v, "is back")
}
