package btrfs

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Clone implements volume.Cloner. The files keep their owners, and so does the root directory unless
// the options name one.
func (b *Backend) Clone(ctx context.Context, id cluster.VolumeID, o volume.Options, from cluster.VolumeID, at cluster.SnapshotName) error {
	source, err := b.find(from)
	if err != nil {
		return err
	}
	if err := source.Lock(); err != nil {
		return err
	}
	defer source.Op.Unlock()
	content, err := source.content(at)
	if err == nil {
		err = noneNested(content)
	}
	if err != nil {
		return fmt.Errorf("clone volume %s: %w", from, err)
	}
	return b.create(id, o, func(path string) error {
		if err := b.copyOf(ctx, content, path, o.MaximumSize); err != nil {
			return err
		}
		// One that was made meanwhile is an empty directory in the clone.
		if err := noneNested(content); err != nil {
			return errors.Join(err, deleteSubvolume(path))
		}
		if o.Owner == 0 && o.Group == 0 {
			return nil
		}
		return o.Own(path)
	})
}

// content is the subvolume with what a snapshot holds; without a name, with what the copy holds now.
func (c *subvolumes) content(at cluster.SnapshotName) (string, error) {
	record := c.Record()
	if at == "" && record.Role == cluster.Primary {
		return c.Data(), nil
	}
	for _, s := range record.Snapshots {
		if s.Name == at || (at == "" && s.GUID == record.Head) {
			_, err := c.intact(record, s.Name)
			return c.snapshotPath(s.Name), err
		}
	}
	return "", fmt.Errorf("snapshot %s: %w", at, cluster.ErrNotFound)
}

// copyOf makes a writable copy of a subvolume, with a limit of its own.
func (b *Backend) copyOf(ctx context.Context, subvolume, path string, limit int64) error {
	return b.make(ctx, path, limit, func(path string) error { return snapshotSubvolume(subvolume, path, false) })
}
