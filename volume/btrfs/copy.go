package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copydir"
)

// subvolumes is the copy of one volume.
type subvolumes struct{ *copydir.Copy }

func (c *subvolumes) snapshotPath(name cluster.SnapshotName) string {
	return filepath.Join(c.Dir, snapshotFile(name))
}

// recover finishes or deletes what a crash left half done, and holds the record against what is there.
func (b *Backend) recover(c *subvolumes) error {
	if err := b.recoverRollback(c); err != nil {
		return err
	}
	record := c.Record()
	if err := deleteSubvolume(c.incomingPath()); err != nil {
		return err
	}
	if err := c.deleteStrays(); err != nil {
		return err
	}
	for _, s := range record.Snapshots {
		if _, err := infoOf(c.snapshotPath(s.Name)); err != nil {
			return fmt.Errorf("snapshot %s: %w", s.Name, err)
		}
	}
	if record.Role == cluster.Primary && !isSubvolume(c.Data()) {
		return fmt.Errorf("%s: the subvolume is gone", c.Data())
	}
	return nil
}

// deleteStrays deletes the snapshots that are not on the record.
func (c *subvolumes) deleteStrays() error {
	record := c.Record()
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name, is := snapshotOf(entry.Name())
		if !is {
			continue
		}
		if _, err := record.Snapshot(name); err == nil {
			continue
		}
		if err := c.deleteSnapshot(name); err != nil {
			return err
		}
	}
	return nil
}

// state is the copy as the contract shows it.
func (c *subvolumes) state() volume.Copy {
	s := c.State()
	if s.Warning != "" {
		return s
	}
	content := c.Data()
	if s.Role == cluster.Replica && len(s.Snapshots) > 0 {
		content = c.snapshotPath(s.Snapshots[len(s.Snapshots)-1].Name)
	}
	s.UsedBytes = c.Used.Get(content, s.Open)
	return s
}

// place makes the subvolume that applications see. An empty directory in its place, as an engine
// makes one for a mount that is not there yet, gives way; a filled one is kept under another name.
func (c *subvolumes) place(make func(path string) error) error {
	err := os.Remove(c.Data())
	switch {
	case err == nil, errors.Is(err, os.ErrNotExist):
	case isSubvolume(c.Data()):
		// Only a clone that nobody has written to is ever replaced: the record says replica.
		if err := deleteSubvolume(c.Data()); err != nil {
			return err
		}
	default:
		if err := os.Rename(c.Data(), fmt.Sprintf("%s.foreign.%d", c.Data(), time.Now().UnixNano())); err != nil {
			return err
		}
	}
	return make(c.Data())
}

// Open implements volume.Backend.
func (b *Backend) Open(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (string, error) {
	c, err := b.find(id)
	if err != nil {
		return "", err
	}
	c.Op.Lock()
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
func (b *Backend) writable(ctx context.Context, c *subvolumes, record copydir.Record) error {
	for _, s := range record.Snapshots {
		if s.GUID != record.Head {
			continue
		}
		return c.place(func(path string) error { return b.copyOf(ctx, c.snapshotPath(s.Name), path, record.Limit) })
	}
	return fmt.Errorf("snapshot %s: %w", record.Head, cluster.ErrNotFound)
}

// Close implements volume.Backend.
func (b *Backend) Close(_ context.Context, id cluster.VolumeID) error { return b.root.Close(id) }

// Demote implements volume.Backend. What was written behind our back is found here: a snapshot is
// then not what the record believes.
func (b *Backend) Demote(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	c.Op.Lock()
	defer c.Op.Unlock()
	record := c.Record()
	if record.Role == cluster.Primary && !record.Open && record.Head != "" {
		changed, err := c.changedSince(ctx, record)
		if err != nil {
			return fmt.Errorf("demote volume %s: %w", id, err)
		}
		if changed {
			if err := c.Update(func(r *copydir.Record) { r.Head = "" }); err != nil {
				return err
			}
		}
	}
	if err := c.Demote(epoch); err != nil {
		return err
	}
	// Its content is that of the head.
	return deleteSubvolume(c.Data())
}

// changedSince reports whether the content differs from the head of the record.
func (c *subvolumes) changedSince(ctx context.Context, record copydir.Record) (bool, error) {
	for _, s := range record.Snapshots {
		if s.GUID != record.Head {
			continue
		}
		then, err := infoOf(c.snapshotPath(s.Name))
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
		return c.differs(ctx, s.Name)
	}
	return true, nil
}

// Trash implements volume.Backend.
func (b *Backend) Trash(context.Context) ([]volume.Copy, error) { return b.root.Trash() }

// Restore implements volume.Backend.
func (b *Backend) Restore(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	return b.root.Restore(id, epoch)
}

// Remove implements volume.Backend.
func (b *Backend) Remove(_ context.Context, id cluster.VolumeID) error { return b.root.Remove(id) }

// Snapshot implements volume.Backend. Keep makes no difference: every snapshot holds its content.
func (b *Backend) Snapshot(_ context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (cluster.Snapshot, error) {
	c, err := b.find(id)
	if err != nil {
		return cluster.Snapshot{}, err
	}
	c.Op.Lock()
	defer c.Op.Unlock()
	record := c.Record()
	if s, err := record.Snapshot(name); err == nil {
		return s, nil
	}
	path := c.snapshotPath(name)
	// One that is there and not on the record is what a crash left.
	if err := c.deleteSnapshot(name); err != nil {
		return cluster.Snapshot{}, err
	}
	if err := snapshotSubvolume(c.Data(), path, true); err != nil {
		return cluster.Snapshot{}, err
	}
	info, err := infoOf(path)
	if err != nil {
		return cluster.Snapshot{}, err
	}
	s := cluster.Snapshot{Name: name, GUID: info.lineage(), Created: time.Now().UTC(), Bytes: c.Used.Get(c.Data(), record.Open), Kept: keep}
	return s, c.Update(func(r *copydir.Record) { r.Add(s) })
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
	if err := c.Update(func(r *copydir.Record) { r.Forget(name) }); err != nil {
		return err
	}
	return c.deleteSnapshot(name)
}

// deleteSnapshot deletes one that is no longer on the record.
func (c *subvolumes) deleteSnapshot(name cluster.SnapshotName) error {
	if err := os.Remove(c.manifestPath(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return deleteSubvolume(c.snapshotPath(name))
}
