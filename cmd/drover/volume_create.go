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

// newVolumeOptions are what a new volume is made with.
type newVolumeOptions struct {
	node, size, profile string
	options, labels     map[string]string
}

func (o *newVolumeOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.node, "node", "", "`NODE` that makes it: a name, address or id")
	f.StringVar(&o.size, "size", "", "limit of its `SIZE` in bytes, or with K, M, G or T (default: none)")
	f.StringVar(&o.profile, "profile", "", "settings by what it holds: `database`")
	f.StringToStringVarP(&o.options, "option", "o", nil, "setting of the node's backend, such as `zfs.recordsize=8K`; may be repeated")
	f.StringToStringVar(&o.labels, "label", nil, "`KEY=VALUE` to remember of it; may be repeated")
}

func (o *newVolumeOptions) request(name string, origin *cluster.Origin) (wire.VolumeRequest, error) {
	size, err := parseLimit(o.size)
	return wire.VolumeRequest{Name: name, Node: o.node, MaximumSize: size, Profile: o.profile, Options: o.options,
		Metadata: o.labels, Origin: origin}, err
}

// parseLimit reads a size limit; none is zero.
func parseLimit(text string) (int64, error) {
	switch text {
	case "", "0", "none":
		return 0, nil
	}
	return cluster.ParseSize(text)
}

func newVolumeCreate(io_ stdio) *cobra.Command {
	var o newVolumeOptions
	c := volumeCommand{use: "create NAME", short: "Make a volume on a node and wait until it is there", args: 1, waits: true, options: true,
		long: `Make a volume on a node and wait until it is there. An application of the same name that is deployed
later uses it. Interrupting the command stops nothing: the node goes on.`,
		run: func(ctx context.Context, v volumeOptions, control *client.Client, args []string) error {
			return runVolumeCreate(ctx, v, o, control, args[0], nil, io_)
		}}.command()
	o.addFlags(c.Flags())
	return c
}

func newVolumeAdopt(io_ stdio) *cobra.Command {
	var o newVolumeOptions
	var name string
	c := volumeCommand{use: "adopt DATASET", short: "Make what a node's backend has stored already, such as a ZFS dataset, a volume", args: 1, waits: true, options: true,
		run: func(ctx context.Context, v volumeOptions, control *client.Client, args []string) error {
			return runVolumeCreate(ctx, v, o, control, name, &cluster.Origin{Adopt: args[0]}, io_)
		}}.command()
	o.addFlags(c.Flags())
	c.Flags().StringVar(&name, "name", "", "`NAME` of the volume (required)")
	cobra.CheckErr(c.MarkFlagRequired("name")) // it exists
	return c
}

func newVolumeClone(io_ stdio) *cobra.Command {
	var o newVolumeOptions
	var snapshot string
	c := volumeCommand{use: "clone VOLUME NEW", short: "Make a volume out of another one, which may be in use", args: 2, waits: true, options: true,
		long: `Make the volume NEW out of a snapshot of another one, or of its content as it is, which may be in use.
It is made on the node that holds that, and like the other one where the flags do not say.`,
		run: func(ctx context.Context, v volumeOptions, control *client.Client, args []string) error {
			origin := &cluster.Origin{Volume: cluster.VolumeID(args[0]), Snapshot: cluster.SnapshotName(snapshot)}
			return runVolumeCreate(ctx, v, o, control, args[1], origin, io_)
		}}.command()
	o.addFlags(c.Flags())
	c.Flags().StringVar(&snapshot, "snapshot", "", "`NAME` of the snapshot (default: the content as it is)")
	return c
}

// runVolumeCreate asks for a volume and waits until its owner has made it.
func runVolumeCreate(ctx context.Context, v volumeOptions, o newVolumeOptions, control *client.Client, name string, origin *cluster.Origin, io_ stdio) error {
	r, err := o.request(name, origin)
	if err != nil {
		return err
	}
	status, err := control.CreateVolume(ctx, r)
	if err != nil {
		return err
	}
	status, err = v.await(ctx, control, status, io_.err, func(s wire.VolumeStatus) bool { return s.Ownership.Born && ownersCopy(s).Open })
	if err != nil {
		return cluster.WithHint(err, fmt.Sprintf("the node goes on; see it with: drover volume inspect %s; take it off again with: drover volume rm %s", name, name))
	}
	return printChanged(ctx, v, control, status, io_.out, "is there")
}

// printChanged says of a volume what has become of it on its owner.
func printChanged(ctx context.Context, o volumeOptions, control *client.Client, v wire.VolumeStatus, w io.Writer, what string) error {
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	return o.print(w, v, func(w io.Writer) {
		fmt.Fprintf(w, "volume %s: %s, on %s, with %s and the limit %s\n", volumeName(v.Volume), what, nodeName(nodes, v.Ownership.Owner),
			bytes(ownersCopy(v).UsedBytes), limit(v.Volume.MaximumSize))
	})
}
