package zfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/inuse"
)

// profiles are the properties that suit what a volume holds.
var profiles = map[string]map[string]string{
	// The record is what a change of one byte ships and rewrites, so it should be no larger than two
	// of the database's pages. Small records leave lz4 little to find, and cost it nothing.
	cluster.ProfileDatabase: {"recordsize": "16K", "logbias": "latency", "compression": "lz4", "atime": "off"},
}

// ours are the properties that Drover sets itself, or leaves as they are: a host shares nothing because
// somebody in the cluster asks for it.
var ours = []string{"mountpoint", "canmount", "readonly", "refquota", "zoned", "origin", "sharenfs", "sharesmb"}

// Create implements volume.Backend.
func (b *Backend) Create(ctx context.Context, id cluster.VolumeID, o volume.Options) error {
	return b.make(ctx, id, o, func(name string, properties map[string]string) error {
		properties[propOwner] = owner(o)
		return library(ctx, func() error {
			_, err := gozfs.CreateFilesystem(name, properties)
			return err
		})
	})
}

// owner is that of the root directory, as it stands in a property until there is one.
func owner(o volume.Options) string { return fmt.Sprintf("%d:%d", o.Owner, o.Group) }

// make makes a dataset, by a function that is given its name and its properties, if the volume has no
// copy here. The properties come with it in one step: it is a copy from its first moment on.
func (b *Backend) make(ctx context.Context, id cluster.VolumeID, o volume.Options, make func(name string, properties map[string]string) error) error {
	if !cluster.IsUUID(string(id)) {
		return fmt.Errorf("%w: volume id %q", cluster.ErrInvalid, id)
	}
	defer b.hold(id)()
	switch _, err := b.find(ctx, id); {
	case err == nil:
		return fmt.Errorf("create volume %s: %w", id, cluster.ErrExists)
	case !errors.Is(err, cluster.ErrNotFound):
		return err
	}
	properties, err := properties(o)
	if err != nil {
		return fmt.Errorf("create volume %s: %w", id, err)
	}
	maps.Copy(properties, b.primary(id, 1, o.Labels))
	if o.LimitBytes > 0 {
		properties["refquota"] = strconv.FormatInt(o.LimitBytes, 10)
	}
	name, err := b.free(ctx, id, o.Labels.Name)
	if err == nil {
		err = make(name, properties)
	}
	if err != nil {
		return fmt.Errorf("create volume %s: %w", id, err)
	}
	return nil
}

// primary are the properties of a primary copy that is not open.
func (b *Backend) primary(id cluster.VolumeID, epoch cluster.Epoch, l volume.Labels) map[string]string {
	p := b.identity(id, l)
	p[propRole], p[propEpoch] = string(cluster.Primary), strconv.FormatUint(uint64(epoch), 10)
	return p
}

// identity are the properties that every copy has, whatever its role.
func (b *Backend) identity(id cluster.VolumeID, l volume.Labels) map[string]string {
	return map[string]string{"canmount": "noauto", "mountpoint": b.Path(id), propVolume: string(id), propChanged: stamp(),
		propOpen: "off", propName: l.Name, propApplication: string(l.Application)}
}

// properties are those of the profile, and over them those of the user.
func properties(o volume.Options) (map[string]string, error) {
	p := map[string]string{}
	maps.Copy(p, profiles[o.Profile])
	if o.Profile != "" && profiles[o.Profile] == nil {
		return nil, fmt.Errorf("%w: profile %q: want one of %s", cluster.ErrInvalid, o.Profile, strings.Join(cluster.Profiles, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		if slices.Contains(ours, name) || strings.HasPrefix(name, "drover:") {
			return nil, fmt.Errorf("%w: zfs.%s is not for volumes to set", cluster.ErrInvalid, name)
		}
		p[name] = o.Settings[name]
	}
	return p, nil
}

// free returns the name for a dataset: the volume's, or with a piece of its id where somebody else has
// that.
func (b *Backend) free(ctx context.Context, id cluster.VolumeID, wanted string) (string, error) {
	all, err := b.list(ctx)
	if err != nil {
		return "", err
	}
	if wanted == "" {
		wanted = string(id)
	}
	name := path.Join(b.root, wanted)
	if all.has(name) {
		name += "-" + string(id[:8])
	}
	return name, nil
}

// assignments returns properties as `zfs set` and -o want them, in a stable order.
func assignments(properties map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		all = append(all, name+"="+properties[name])
	}
	return all
}

// set sets properties in one step: all of them, or none.
func set(ctx context.Context, name string, properties map[string]string) error {
	return zfs(ctx, slices.Concat([]string{"set"}, assignments(properties), []string{name})...)
}

// Clone implements volume.Cloner. The clone shares the space of what it has in common with the other
// volume until either of them writes.
func (b *Backend) Clone(ctx context.Context, id cluster.VolumeID, o volume.Options, from cluster.VolumeID, at cluster.SnapshotName) error {
	return b.make(ctx, id, o, func(name string, properties map[string]string) error {
		source, err := b.find(ctx, from)
		if err != nil {
			return err
		}
		if at, err = b.cloneOf(ctx, id, source, at); err != nil {
			return err
		}
		if o.Owner != 0 || o.Group != 0 {
			properties[propOwner] = owner(o)
		}
		return library(ctx, func() error {
			snapshot := &gozfs.Dataset{Name: source.name + "@" + string(at), Type: gozfs.DatasetSnapshot}
			_, err := snapshot.Clone(name, properties)
			return err
		})
	})
}

// cloneOf returns the snapshot that a clone hangs on: the one that was asked for, or one of the present
// content, which is made for it unless there is one.
func (b *Backend) cloneOf(ctx context.Context, id cluster.VolumeID, source *dataset, at cluster.SnapshotName) (cluster.SnapshotName, error) {
	if at != "" {
		if s := source.snapshot(at); s == nil || !s.counts() {
			return "", fmt.Errorf("snapshot %s: %w", at, cluster.ErrNotFound)
		}
		return at, nil
	}
	if head := source.head(); head != nil {
		return cluster.SnapshotName(head.name), nil // a replica must get none that others do not have
	}
	if err := b.replay(ctx, source); err != nil {
		return "", err
	}
	at = cluster.SnapshotName("clone-" + string(id))
	err := zfs(ctx, "snapshot", "-o", propSnapshot+"="+forClone, source.name+"@"+string(at))
	if errors.Is(err, cluster.ErrExists) {
		return at, nil // from an attempt that was broken off
	}
	return at, err
}

// Adopt implements volume.Adopter: a dataset of the same pool becomes a volume by being renamed.
func (b *Backend) Adopt(ctx context.Context, id cluster.VolumeID, o volume.Options, name string) error {
	return b.make(ctx, id, o, func(home string, properties map[string]string) error {
		d, err := b.adoptable(ctx, id, o, name)
		if err != nil {
			return err
		}
		if err := d.unmount(); err != nil {
			return err
		}
		// It may have been in use when the power failed. What its log holds then is replayed by a
		// mount, and whoever closes a volume that counts as open mounts it first.
		properties[propOpen] = "on"
		if err := set(ctx, name, properties); err != nil {
			return err
		}
		return library(ctx, func() error {
			_, err := (&gozfs.Dataset{Name: name}).Rename(home, false, false)
			return err
		})
	})
}

// adoptable returns a dataset that may become a volume, or says why it may not.
func (b *Backend) adoptable(ctx context.Context, id cluster.VolumeID, o volume.Options, name string) (*dataset, error) {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: adopt %s: %s", cluster.ErrRefused, name, fmt.Sprintf(format, args...))
	}
	if strings.ContainsAny(name, "@#%") || strings.HasPrefix(name, "-") {
		return nil, fmt.Errorf("%w: adopt %q: want the name of a dataset, such as %s/db", cluster.ErrInvalid, name, b.pool())
	}
	if pool, _, _ := strings.Cut(name, "/"); pool != b.pool() {
		return nil, refuse("it is not in pool %s, and nothing is copied", b.pool())
	}
	if b.root == name || strings.HasPrefix(b.root, name+"/") {
		return nil, refuse("Drover's own dataset %s is in it", b.root)
	}
	found, err := b.read(ctx, name, listed+",type,encryptionroot")
	if err != nil {
		return nil, err
	}
	d := found.datasets[0]
	other := d.volume()
	switch {
	case len(found.datasets) > 1:
		return nil, refuse("it has others below it, such as %s; adopt them first, each for itself", found.datasets[1].name)
	case d.properties["type"].text != "filesystem":
		return nil, refuse("it is a %s, not a file system", d.properties["type"].text)
	case d.encrypted() && d.properties["encryptionroot"].text != name:
		return nil, refuse("its encryption key is that of %s; zfs change-key gives it one of its own", d.properties["encryptionroot"].text)
	case other != "" && other != id:
		return nil, refuse("it is volume %s", other)
	case d.number("refquota") > 0 && d.number("refquota") != o.LimitBytes:
		return nil, refuse("it has refquota=%d: give that as the volume's maximum size, or clear it", d.number("refquota"))
	}
	if d.mounted() {
		if user := inuse.By(d.properties["mountpoint"].text); user != "" {
			return nil, refuse("it is in use by %s", user)
		}
	}
	return d, nil
}
