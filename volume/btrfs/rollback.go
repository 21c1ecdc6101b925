package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/copystore"
)

// A rollback is decided by one write of the record. What comes before it can be forgotten; what comes
// after it is done again, however far it had come, before the copy is used for anything else.
//
//	stage      the snapshot, writable, beside the data
//	commit     the record: that is the content, its wish is fulfilled, the later snapshots are gone
//	exchange   the data with it
//	settle     the record: it is done; the old data and the later snapshots are deleted

func (c *subvolumes) stagePath() string { return filepath.Join(c.Dir, "rollback") }

// Rollback implements volume.Rollbacker.
func (b *Backend) Rollback(ctx context.Context, id cluster.VolumeID, to cluster.SnapshotName, wish string) error {
	found, err := b.root.Find(id)
	if err != nil {
		return err
	}
	c := of(found)
	if err := c.Lock(); err != nil {
		return err
	}
	defer c.Op.Unlock()
	if err := b.rollback(ctx, c, to, wish); err != nil {
		return fmt.Errorf("roll volume %s back to %s: %w", id, to, err)
	}
	return nil
}

func (b *Backend) rollback(ctx context.Context, c *subvolumes, to cluster.SnapshotName, wish string) error {
	if c.Record().Reset != "" { // it failed half way
		if err := b.recoverRollback(c); err != nil {
			return err
		}
	}
	record := c.Record()
	switch {
	case record.Rollback == wish:
		return nil
	case record.Role != cluster.Primary:
		return fmt.Errorf("%w: the copy is a replica", cluster.ErrConflict)
	case record.Open:
		return fmt.Errorf("%w: it is open", cluster.ErrConflict)
	}
	snapshot, err := record.Snapshot(to)
	if err != nil {
		return err
	}
	if _, err := c.intact(record, to); err != nil {
		return err
	}
	// The content goes, and what is in it must not go with it unseen.
	if isSubvolume(c.Data()) {
		if err := noneNested(c.Data()); err != nil {
			return err
		}
	}
	if err := b.stage(ctx, c, to); err != nil {
		return err
	}
	if err := c.commitRollback(snapshot, wish); err != nil {
		return err
	}
	c.Used.Note(snapshot.Bytes)
	return c.finishRollback()
}

// stage makes what will be the content.
func (b *Backend) stage(ctx context.Context, c *subvolumes, to cluster.SnapshotName) error {
	if err := clear(c.stagePath()); err != nil {
		return err
	}
	return b.copyOf(ctx, c.snapshotPath(to), c.stagePath(), c.Record().Limit)
}

func (c *subvolumes) commitRollback(to cluster.Snapshot, wish string) error {
	return c.Update(func(r *copystore.Record) {
		i := slices.IndexFunc(r.Snapshots, func(s cluster.Snapshot) bool { return s.Name == to.Name })
		for _, later := range slices.Clone(r.Snapshots[i+1:]) {
			r.Forget(later.Name)
		}
		r.Head, r.Rollback, r.Reset = to.GUID, wish, to.Name
	})
}

// finishRollback puts what was staged in the place of the data.
func (c *subvolumes) finishRollback() error {
	err := exchange(c.stagePath(), c.Data())
	if errors.Is(err, os.ErrNotExist) {
		err = os.Rename(c.stagePath(), c.Data()) // somebody has deleted the data
	}
	if err != nil {
		return err
	}
	if err := c.Update(func(r *copystore.Record) { r.Reset = "" }); err != nil {
		return err
	}
	if err := clear(c.stagePath()); err != nil {
		return err
	}
	return c.deleteStrays()
}

// recoverRollback finishes a rollback that was decided, and forgets one that was not. Whether the
// data had been exchanged does not matter: it is made of the snapshot once more.
func (b *Backend) recoverRollback(c *subvolumes) error {
	to := c.Record().Reset
	if to == "" {
		return clear(c.stagePath())
	}
	if err := b.stage(context.Background(), c, to); err != nil {
		return err
	}
	return c.finishRollback()
}
