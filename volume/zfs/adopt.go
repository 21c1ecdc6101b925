package zfs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Adopt implements volume.Adopter: a dataset of the same pool becomes a volume by being renamed.
func (b *Backend) Adopt(ctx context.Context, id cluster.VolumeID, o volume.Options, name string) error {
	return b.make(ctx, id, o, func(home string, properties map[string]string) error {
		d, err := b.adoptable(ctx, id, o, name)
		if err != nil {
			return err
		}
		if err := b.unmount(ctx, d); errors.Is(err, cluster.ErrConflict) {
			return fmt.Errorf("%w: adopt %s: %w", cluster.ErrRefused, name, err)
		} else if err != nil {
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
	case d.number("refquota") > 0 && d.number("refquota") != o.MaximumSize:
		return nil, refuse("it has refquota=%d: give that as the volume's maximum size, or clear it", d.number("refquota"))
	}
	return d, nil
}
