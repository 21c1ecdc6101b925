package btrfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Remove implements volume.Backend.
func (b *Backend) Remove(_ context.Context, id cluster.VolumeID) error { return b.root.Remove(id) }

// Trash implements volume.Trasher.
func (b *Backend) Trash(context.Context) ([]volume.Copy, error) { return b.root.Trash() }

// Aside implements volume.Trasher.
func (b *Backend) Aside(context.Context) ([]cluster.SetAside, error) { return b.root.Aside() }

// Restore implements volume.Trasher.
func (b *Backend) Restore(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	if err := b.root.Restore(id, epoch); err != nil {
		return err
	}
	// It may be from an earlier version, or have lain there for long.
	c, err := b.root.Find(id)
	if err != nil {
		return err
	}
	if err := c.Lock(); err != nil {
		return err
	}
	defer c.Op.Unlock()
	return b.recover(of(c))
}

// Purge implements volume.Trasher.
func (b *Backend) Purge(_ context.Context, before time.Time) error {
	return b.root.Purge(before, func(dir string) error {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			err = errors.Join(err, clear(filepath.Join(dir, entry.Name())))
		}
		return errors.Join(err, os.RemoveAll(dir))
	})
}

// clear deletes what may be a subvolume, with all that is in it, or not be there.
func clear(path string) error {
	if isSubvolume(path) {
		return deleteWithNested(path)
	}
	return os.RemoveAll(path)
}
