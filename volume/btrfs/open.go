package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/copystore"
)

// Open implements volume.Backend. A replica whose snapshot is not what arrived is set aside.
func (b *Backend) Open(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (string, error) {
	c, err := b.find(id)
	if err != nil {
		return "", err
	}
	if err := c.Lock(); err != nil {
		return "", err
	}
	defer c.Op.Unlock()
	if err := c.MayOpen(epoch, base); err != nil {
		return "", err
	}
	if record := c.Record(); record.Role == cluster.Replica {
		if err := b.writable(ctx, c, record); err != nil {
			return "", fmt.Errorf("open volume %s: %w", id, err)
		}
	}
	return b.Path(id), c.Opened(epoch)
}

// writable makes the content writable without touching the snapshot that it comes from.
func (b *Backend) writable(ctx context.Context, c *subvolumes, record copystore.Record) error {
	name, err := head(record)
	if err != nil {
		return err
	}
	switch _, err := c.intact(record, name); {
	case errors.Is(err, errAltered) || errors.Is(err, os.ErrNotExist):
		return c.diverged(err)
	case err != nil:
		return err
	}
	if err := errors.Join(c.clearIncoming(), c.clearData()); err != nil {
		return err
	}
	return b.copyOf(ctx, c.snapshotPath(name), c.Data(), record.Limit)
}

// clearData makes room for the subvolume that applications see. An empty directory in its place, as an
// engine makes one for a mount that is not there yet, gives way, and so does what the record says is
// nothing but the head; anything else is kept under another name.
func (c *subvolumes) clearData() error {
	err := os.Remove(c.Data())
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if isSubvolume(c.Data()) {
		err := deleteSubvolume(c.Data())
		if !errors.Is(err, unix.ENOTEMPTY) { // somebody has made one in it
			return err
		}
	}
	return os.Rename(c.Data(), fmt.Sprintf("%s.foreign.%d", c.Data(), time.Now().UnixNano()))
}

// Close implements volume.Backend.
func (b *Backend) Close(_ context.Context, id cluster.VolumeID) error { return b.root.Close(id) }

// Demote implements volume.Backend. What was written behind our back is found here: the content is
// then not what the record believes.
func (b *Backend) Demote(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	c, err := b.find(id)
	if errors.Is(err, copystore.ErrBroken) {
		return b.root.Abandon(id, epoch)
	}
	if err != nil {
		return err
	}
	if err := c.Lock(); err != nil {
		return err
	}
	defer c.Op.Unlock()
	record := c.Record()
	if record.Role == cluster.Primary && !record.Open && record.Head != "" {
		changed, err := c.changedSince(ctx, record)
		if err != nil {
			return fmt.Errorf("demote volume %s: %w", id, err)
		}
		if changed {
			if err := c.Update(func(r *copystore.Record) { r.Head = "" }); err != nil {
				return err
			}
		}
	}
	if err := c.Demote(epoch); err != nil {
		return err
	}
	return c.clearData()
}

// changedSince reports whether the content differs from the head of the record. What is not as the
// record says counts as different: a demotion that cannot tell must not fail for ever.
func (c *subvolumes) changedSince(ctx context.Context, record copystore.Record) (bool, error) {
	name, err := head(record)
	if err != nil {
		return true, nil
	}
	if nested, err := nestedIn(c.Data()); err != nil || len(nested) > 0 {
		return true, err
	}
	switch _, err := c.intact(record, name); {
	case errors.Is(err, errAltered) || errors.Is(err, os.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	}
	then, err := infoOf(c.snapshotPath(name))
	if err != nil {
		return false, err
	}
	// Generations are those of what is written out.
	if err := syncFileSystem(c.Data()); err != nil {
		return false, err
	}
	now, err := infoOf(c.Data())
	if err != nil || now.Generation == then.Generation {
		return false, err
	}
	// Something has touched it since: clean-up of deleted files maybe, or a read.
	return c.differs(ctx, name)
}

// differs reports whether the content has changed since a snapshot, in more than times.
func (c *subvolumes) differs(ctx context.Context, name cluster.SnapshotName) (bool, error) {
	if err := errors.Join(deleteSubvolume(c.probePath()), snapshotSubvolume(c.Data(), c.probePath(), true)); err != nil {
		return false, err
	}
	what := &digest{}
	err := send(ctx, c.probePath(), c.snapshotPath(name), flagNoData, what.read)
	return what.changes > 0, errors.Join(err, deleteSubvolume(c.probePath()))
}
