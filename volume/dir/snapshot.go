package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/volume/copystore"
	"github.com/drover/drover/volume/files"
)

// Snapshot implements volume.Backend.
func (b *Backend) Snapshot(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (cluster.Snapshot, error) {
	c, err := b.find(id)
	if err != nil {
		return cluster.Snapshot{}, err
	}
	if err := c.Lock(); err != nil {
		return cluster.Snapshot{}, err
	}
	defer c.Op.Unlock()
	record := c.Record()
	if s, err := record.Snapshot(name); err == nil {
		return s, nil
	}
	s := cluster.Snapshot{Name: name, GUID: cluster.NewUUID(), Created: time.Now().UTC(), Bytes: c.Used.Last(), Kept: keep}
	if keep {
		if err := b.keep(ctx, c, name); err != nil {
			return cluster.Snapshot{}, fmt.Errorf("snapshot %s of volume %s: %w", name, id, err)
		}
	}
	return s, c.Update(func(r *copystore.Record) { r.Add(s) })
}

// Drop implements volume.Backend.
func (b *Backend) Drop(_ context.Context, id cluster.VolumeID, name cluster.SnapshotName) error {
	c, err := b.find(id)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.Update(func(r *copystore.Record) { r.Forget(name) }); err != nil {
		return err
	}
	return errors.Join(c.removeListing(name), files.RemoveAll(c.keptTree(name)))
}

// keep copies the files as they are now, sharing their blocks where the file system can. The tree
// appears under its name when it is whole.
func (b *Backend) keep(ctx context.Context, c *copyDir, name cluster.SnapshotName) error {
	final := c.keptTree(name)
	partial := filepath.Join(c.Dir, "keeping")
	if err := files.RemoveAll(partial); err != nil { // what a crash left of another one
		return err
	}
	if err := errors.Join(durable.MkdirAll(filepath.Dir(final), 0o700), os.Mkdir(partial, 0o700)); err != nil {
		return err
	}
	err := b.room(ctx, c, partial)
	if err == nil {
		err = files.Copy(ctx, c.Data(), partial)
	}
	if err == nil {
		err = durable.Rename(partial, final)
	}
	if err != nil {
		return errors.Join(full(err), files.RemoveAll(partial))
	}
	return nil
}

// room returns cluster.ErrRefused if there is no space for a copy of the files that shares no block
// with them.
func (b *Backend) room(ctx context.Context, c *copyDir, near string) error {
	if files.CanShare(near) {
		return nil
	}
	space, err := b.root.Space()
	if err != nil {
		return err
	}
	need, err := copystore.Allocated(ctx, c.Data())
	if err == nil && need > space.Free {
		err = fmt.Errorf("%w: it takes %d MiB, since files cannot share blocks here, and %d MiB are free", cluster.ErrRefused, need>>20, space.Free>>20)
	}
	return err
}
