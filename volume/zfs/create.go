package zfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// profiles are the properties that suit what a volume holds.
var profiles = map[string]map[string]string{
	// The record is what a change of one byte ships and rewrites, so it should be no larger than two
	// of the database's pages. Small records leave lz4 little to find, and cost it nothing.
	cluster.ProfileDatabase: {"recordsize": "16K", "logbias": "latency", "compression": "lz4", "atime": "off"},
}

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
	if err := checkID(id); err != nil {
		return err
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
	if o.MaximumSize > 0 {
		properties["refquota"] = strconv.FormatInt(o.MaximumSize, 10)
	}
	name, err := b.free(ctx, id, o.Labels.Name, "")
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
		propOpen: "off", propName: label(l.Name), propApplication: label(string(l.Application))}
}

// properties are those of the profile, and over them those of the user. Access lists and attributes are
// kept as other kinds of file systems do, so that a volume can go there and back.
func properties(o volume.Options) (map[string]string, error) {
	p := map[string]string{"acltype": "posixacl", "xattr": "sa"}
	maps.Copy(p, profiles[o.Profile])
	if o.Profile != "" && profiles[o.Profile] == nil {
		return nil, fmt.Errorf("%w: profile %q: want one of %s", cluster.ErrInvalid, o.Profile, strings.Join(cluster.Profiles, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		if err := checkSetting(name, o.Settings[name]); err != nil {
			return nil, err
		}
		p[name] = o.Settings[name]
	}
	return p, nil
}

// free returns the name for a dataset: the volume's, or with a piece of its id where somebody else has
// that. A dataset that has a name already may keep it.
func (b *Backend) free(ctx context.Context, id cluster.VolumeID, wanted, has string) (string, error) {
	all, err := b.list(ctx)
	if err != nil {
		return "", err
	}
	for attempt := 0; ; attempt++ {
		if name := datasetName(b.root, id, wanted, attempt); name == has || !all.has(name) {
			return name, nil
		}
	}
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
