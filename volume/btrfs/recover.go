package btrfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/copystore"
	"github.com/drover/drover/volume/files"
)

func (c *subvolumes) incomingPath() string { return filepath.Join(c.Dir, "incoming") }

// probePath is a snapshot that is made to look at, and deleted.
func (c *subvolumes) probePath() string { return filepath.Join(c.Dir, "probe") }

// recover finishes or deletes what a crash left half done, and holds the record against what is there.
// What is on the record is never deleted.
func (b *Backend) recover(c *subvolumes) error {
	if err := b.recoverRollback(c); err != nil {
		return err
	}
	if err := c.recoverIncoming(); err != nil {
		return err
	}
	if err := clear(c.probePath()); err != nil {
		return err
	}
	if err := c.deleteStrays(); err != nil {
		return err
	}
	return b.holdSnapshots(c)
}

// clearIncoming deletes what has not become a snapshot.
func (c *subvolumes) clearIncoming() error {
	if c.Record().Transit != nil {
		if err := c.Update(func(r *copystore.Record) { r.Transit = nil }); err != nil {
			return err
		}
	}
	for _, listing := range []string{c.incomingListing(), c.incomingListing() + files.Before} {
		if err := os.Remove(listing); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return clear(c.incomingPath())
}

// recoverIncoming deletes what was arriving, unless it is a part of files, or a snapshot on the record that had
// just made room for what arrived: that gets its place back.
func (c *subvolumes) recoverIncoming() error {
	info, err := infoOf(c.incomingPath())
	if err != nil || !isSubvolume(c.incomingPath()) {
		return c.clearIncoming()
	}
	record := c.Record()
	if record.Transit != nil && !info.readOnly() {
		return nil
	}
	for _, s := range record.Snapshots {
		if m, _, err := marked(record, s.Name); err != nil || m.UUID != fmt.Sprintf("%x", info.UUID) {
			continue
		}
		if err := exchange(c.incomingPath(), c.snapshotPath(s.Name)); err != nil {
			return err
		}
		break
	}
	return c.clearIncoming()
}

// deleteStrays deletes the snapshots, and the listings, that are not on the record.
func (c *subvolumes) deleteStrays() error {
	record := c.Record()
	for _, dir := range []string{c.Dir, filepath.Dir(c.incomingListing())} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
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
	}
	return nil
}

// holdSnapshots takes those off the record that are not what they were. What somebody has written into
// one is kept, under another name.
func (b *Backend) holdSnapshots(c *subvolumes) error {
	record := c.Record()
	lost := map[cluster.SnapshotName]error{}
	known := map[cluster.SnapshotName]mark{}
	for _, s := range record.Snapshots {
		m, err := c.intact(record, s.Name)
		switch _, is := record.Marks[s.Name]; {
		case errors.Is(err, errAltered) || errors.Is(err, os.ErrNotExist):
			lost[s.Name] = err
		case err != nil:
			return err
		case !is: // an earlier version kept none
			known[s.Name] = m
		}
	}
	if len(lost) == 0 && len(known) == 0 {
		return nil
	}
	for name, why := range lost {
		b.log.Error("a snapshot is not what it was", "volume", c.ID, "snapshot", name, "error", why)
		if err := c.setSnapshotAside(name); err != nil {
			return err
		}
	}
	return c.Update(func(r *copystore.Record) {
		for name := range lost {
			if s, err := r.Snapshot(name); err == nil && s.GUID == r.Head {
				r.Head = ""
			}
			r.Forget(name)
		}
		for name, m := range known {
			m.set(r, name)
		}
	})
}

// setSnapshotAside keeps what is in the place of a snapshot, if there is anything, as altered.<when>.
func (c *subvolumes) setSnapshotAside(name cluster.SnapshotName) error {
	if err := os.Remove(c.listingPath(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	aside := filepath.Join(c.Dir, fmt.Sprintf("altered.%d", time.Now().UnixNano()))
	if err := os.Rename(c.snapshotPath(name), aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
