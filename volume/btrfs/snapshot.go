package btrfs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/copystore"
)

// snapshotPrefix tells snapshots from everything else in the directory of a copy.
const snapshotPrefix = "@"

// snapshotFile is the file name for a snapshot's name, whatever that holds.
func snapshotFile(name cluster.SnapshotName) string {
	return snapshotPrefix + url.PathEscape(string(name))
}

// snapshotOf returns the snapshot that a file name is for.
func snapshotOf(file string) (cluster.SnapshotName, bool) {
	escaped, is := strings.CutPrefix(file, snapshotPrefix)
	name, err := url.PathUnescape(escaped)
	return cluster.SnapshotName(name), is && err == nil
}

func (c *subvolumes) snapshotPath(name cluster.SnapshotName) string {
	return filepath.Join(c.Dir, snapshotFile(name))
}

// Snapshot implements volume.Backend. Keep makes no difference: every snapshot holds its content.
func (b *Backend) Snapshot(_ context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (cluster.Snapshot, error) {
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
	s := cluster.Snapshot{Name: name, Created: time.Now().UTC(), Bytes: c.used(c.Data(), record.Open), Kept: keep}
	m, err := c.snapshot(name)
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("snapshot %s of volume %s: %w", name, id, err)
	}
	s.GUID = m.Lineage
	return s, c.Update(func(r *copystore.Record) {
		r.Add(s)
		m.set(r, name)
	})
}

// snapshot makes one of the data, and a mark for it.
func (c *subvolumes) snapshot(name cluster.SnapshotName) (mark, error) {
	path := c.snapshotPath(name)
	// One that is there and not on the record is what a crash left.
	if err := c.deleteSnapshot(name); err != nil {
		return mark{}, err
	}
	if err := noneNested(c.Data()); err != nil {
		return mark{}, err
	}
	frozen := coarseNow()
	if err := snapshotSubvolume(c.Data(), path, true); err != nil {
		return mark{}, err
	}
	m, err := markOf(path, frozen)
	if err == nil {
		// One that was made meanwhile is an empty directory in the snapshot.
		err = noneNested(c.Data())
	}
	if err != nil {
		return mark{}, errors.Join(err, deleteSubvolume(path))
	}
	return m, nil
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
	return c.deleteSnapshot(name)
}

// deleteSnapshot deletes one that is no longer on the record.
func (c *subvolumes) deleteSnapshot(name cluster.SnapshotName) error {
	if err := os.Remove(c.listingPath(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return deleteSubvolume(c.snapshotPath(name))
}
