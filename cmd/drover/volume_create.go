package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

// newVolumeOptions are what a new volume is made with. -o gives an option of the volume, and not the
// format of the output.
type newVolumeOptions struct {
	waitingOptions
	name                string
	node, size, profile string
	options, labels     map[string]string
}

func (o *newVolumeOptions) addFlags(f *pflag.FlagSet) {
	o.connectOptions.addFlags(f)
	f.StringVar(&o.format, "output", "text", "`FORMAT` of the output: text or json")
	o.waitOptions.addFlags(f)
	f.StringVar(&o.node, "node", "", "`NODE` that makes it: a name, address or id")
	f.StringVar(&o.size, "size", "", "limit of its `SIZE` in bytes, or with K, M, G or T (default: none)")
	f.StringVar(&o.profile, "profile", "", "settings by what it holds: `database`")
	f.StringToStringVarP(&o.options, "option", "o", nil, "setting of the node's backend, such as `zfs.recordsize=8K`; may be repeated")
	f.StringToStringVar(&o.labels, "label", nil, "`KEY=VALUE` to remember of it; may be repeated")
}

// create asks for the volume and waits until its owner has made it.
func (o *newVolumeOptions) create(ctx context.Context, origin *cluster.Origin) error {
	size, err := parseLimit(o.size)
	if err != nil {
		return err
	}
	control, err := o.client()
	if err != nil {
		return err
	}
	status, err := control.CreateVolume(ctx, wire.VolumeRequest{Name: o.name, Node: o.node, MaximumSize: size, Profile: o.profile,
		Options: o.options, Metadata: o.labels, Origin: origin})
	if err != nil {
		return err
	}
	hint := seeVolume(o.name) + "; take it off again with: drover volume rm " + o.name
	status, err = o.await(ctx, control, status, o.err, hint, func(s wire.VolumeStatus) bool { return s.Ownership.Created && ownersCopy(s).Open })
	if err != nil {
		return err
	}
	return printChanged(ctx, o.remoteOptions, control, status, "is there")
}

// parseLimit reads a size limit; none is zero.
func parseLimit(text string) (int64, error) {
	switch text {
	case "", "none":
		return 0, nil
	case "0":
		return 0, fmt.Errorf(`%w: a limit of 0 would leave no room: want "none", or a size such as 10G`, cluster.ErrInvalid)
	}
	return cluster.ParseSize(text)
}

type volumeCreateOptions struct{ newVolumeOptions }

func newVolumeCreate(io_ stdio) *cobra.Command {
	o := volumeCreateOptions{newVolumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{
		Use:   "create NAME",
		Short: "Make a volume on a node and wait until it is there",
		Long: `Make a volume on a node and wait until it is there. An application of the same name that is deployed
later uses it. Interrupting the command stops nothing: the node goes on.`,
	}, &o, runVolumeCreate, &o.name)
}

func runVolumeCreate(ctx context.Context, o volumeCreateOptions) error { return o.create(ctx, nil) }

type volumeAdoptOptions struct {
	newVolumeOptions
	dataset string
}

func (o *volumeAdoptOptions) addFlags(f *pflag.FlagSet) {
	o.newVolumeOptions.addFlags(f)
	f.StringVar(&o.name, "name", "", "`NAME` of the volume (required)")
	cobra.CheckErr(cobra.MarkFlagRequired(f, "name")) // it exists
}

func newVolumeAdopt(io_ stdio) *cobra.Command {
	o := volumeAdoptOptions{newVolumeOptions: newVolumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{Use: "adopt DATASET", Short: "Make what a node's backend has stored already, such as a ZFS dataset, a volume"},
		&o, runVolumeAdopt, &o.dataset)
}

func runVolumeAdopt(ctx context.Context, o volumeAdoptOptions) error {
	return o.create(ctx, &cluster.Origin{Adopt: o.dataset})
}

type volumeCloneOptions struct {
	newVolumeOptions
	from, snapshot string
}

func (o *volumeCloneOptions) addFlags(f *pflag.FlagSet) {
	o.newVolumeOptions.addFlags(f)
	f.StringVar(&o.snapshot, "snapshot", "", "`NAME` of the snapshot (default: the content as it is)")
}

func newVolumeClone(io_ stdio) *cobra.Command {
	o := volumeCloneOptions{newVolumeOptions: newVolumeOptions{waitingOptions: waiting(io_)}}
	return command(&cobra.Command{
		Use:   "clone VOLUME NEW",
		Short: "Make a volume out of another one, which may be in use",
		Long: `Make the volume NEW out of a snapshot of another one, or of its content as it is, which may be in use.
It is made on the node that holds that, and like the other one where the flags do not say.`,
	}, &o, runVolumeClone, &o.from, &o.name)
}

func runVolumeClone(ctx context.Context, o volumeCloneOptions) error {
	return o.create(ctx, &cluster.Origin{Volume: cluster.VolumeID(o.from), Snapshot: cluster.SnapshotName(o.snapshot)})
}

// printChanged says of a volume what has become of it on its owner.
func printChanged(ctx context.Context, o remoteOptions, control *client.Client, v wire.VolumeStatus, what string) error {
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	return o.print(o.out, v, func(w io.Writer) {
		fmt.Fprintf(w, "volume %s: %s, on %s, with %s and the limit %s\n", volumeName(v.Volume), what, nodeName(nodes, v.Ownership.Owner),
			bytes(ownersCopy(v).UsedBytes), limit(v.Volume.MaximumSize))
	})
}
