package zfs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/inuse"
)

// holdTag is the tag by which a base is held, so that no clean-up of snapshots takes it away.
const holdTag = "drover"

// Snapshot implements volume.Backend. One that is made for a transfer is held: it is the base of the
// next.
func (b *Backend) Snapshot(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (cluster.Snapshot, error) {
	if err := checkSnapshot(name); err != nil {
		return cluster.Snapshot{}, err
	}
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if err != nil {
		return cluster.Snapshot{}, err
	}
	if s := d.snapshot(name); s != nil {
		if !s.counts() {
			return cluster.Snapshot{}, fmt.Errorf("snapshot %s: %w, and Drover has not made it", name, cluster.ErrConflict)
		}
		return s.noun(), nil
	}
	if d.mounted() {
		if err := inuse.NothingMounted(b.Path(id)); err != nil {
			return cluster.Snapshot{}, fmt.Errorf("make snapshot %s: %w", name, err)
		}
	}
	if err := b.replay(ctx, d); err != nil {
		return cluster.Snapshot{}, err
	}
	purpose := forTransfer
	if keep {
		purpose = forUser
	}
	s, err := take(ctx, d.name+"@"+string(name), map[string]string{propSnapshot: purpose})
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("make snapshot %s: %w", name, err)
	}
	return s.noun(), nil
}

// clockTick is more than the clock that files are stamped with may be behind.
const clockTick = 100 * time.Millisecond

// take makes a snapshot with properties, and holds one that is the base of what comes next.
func take(ctx context.Context, full string, properties map[string]string) (*snapshot, error) {
	properties[propFrozen] = time.Now().Add(-clockTick).UTC().Format(time.RFC3339Nano)
	args := []string{"snapshot"}
	for _, assignment := range assignments(properties) {
		args = append(args, "-o", assignment)
	}
	if err := zfs(ctx, append(args, full)...); err != nil {
		return nil, err
	}
	s, err := snapshotAt(ctx, full)
	if err == nil && properties[propSnapshot] == forTransfer {
		err = keepBase(ctx, full)
	}
	return s, err
}

// snapshotProperties are those of Drover's on snapshots.
var snapshotProperties = []string{propSnapshot, propGUID, propDigest, propFrozen}

// snapshotAt reads one snapshot, by its whole name.
func snapshotAt(ctx context.Context, full string) (*snapshot, error) {
	out, err := run(ctx, "zfs", "get", "-Hp", "-o", "name,property,value,source", "guid,createtxg,creation,referenced,written,clones,"+strings.Join(snapshotProperties, ","), full)
	if err != nil {
		return nil, err
	}
	all, err := parse("", out)
	if err != nil {
		return nil, err
	}
	return all.datasets[0].snapshots[0], nil
}

// keepBase holds a snapshot.
func keepBase(ctx context.Context, full string) error {
	err := zfs(ctx, "hold", holdTag, full)
	if err != nil && strings.Contains(err.Error(), "tag already exists") {
		return nil
	}
	return err
}

// release undoes keepBase.
func release(ctx context.Context, full string) error {
	err := zfs(ctx, "release", holdTag, full)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil // neither it nor its hold is there
	}
	return err
}

// Drop implements volume.Backend. A bookmark stays, so that a difference to the snapshot can still be
// sent to whoever holds it.
func (b *Backend) Drop(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName) error {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s := d.snapshot(name)
	if s == nil || !s.counts() {
		return nil
	}
	// To others, one that came file by file is known by what no bookmark can tell.
	stays := s.purpose() == forTransfer && b.bookmarks(d) && s.identity() == s.guid()
	if stays {
		if err := b.bookmark(ctx, d, s); err != nil {
			return fmt.Errorf("drop snapshot %s: %w", name, err)
		}
	}
	if s.clones() != "" {
		err = b.leaveToClones(ctx, d.name+"@"+s.name)
	} else {
		err = b.destroy(ctx, d.name+"@"+s.name)
	}
	if err != nil {
		return fmt.Errorf("drop snapshot %s: %w", name, err)
	}
	if !stays {
		b.forgetListing(d, s)
	}
	return nil
}

// leaveToClones keeps a snapshot for the clones that hang on it alone: it goes with the last of them.
func (b *Backend) leaveToClones(ctx context.Context, full string) error {
	if err := release(ctx, full); err != nil {
		return err
	}
	return set(ctx, full, map[string]string{propSnapshot: forClone})
}

// bookmarks reports whether the pool can keep one of a dataset.
func (b *Backend) bookmarks(d *dataset) bool {
	f := b.features()
	return f.has("bookmarks") && (!d.encrypted() || f.has("bookmark_v2"))
}

// maxBookmarks is how many of a dataset are kept: more than there are nodes that come back to it.
const maxBookmarks = 16

// bookmark keeps a snapshot as a base without its content, and forgets the oldest.
func (b *Backend) bookmark(ctx context.Context, d *dataset, s *snapshot) error {
	err := zfs(ctx, "bookmark", d.name+"@"+s.name, d.name+"#"+bookmarkPrefix+s.name)
	if err != nil && !strings.Contains(err.Error(), "bookmark exists") {
		return err
	}
	bases := d.bases()
	for _, old := range bases[:max(0, len(bases)-maxBookmarks)] {
		if err := zfs(ctx, "destroy", d.name+"#"+bookmarkPrefix+old.name); err != nil {
			return err
		}
		b.forgetListing(d, old)
	}
	return nil
}

// destroy destroys a snapshot that is held by Drover at most, or says who else holds it.
func (b *Backend) destroy(ctx context.Context, full string) error {
	if err := release(ctx, full); err != nil {
		return err
	}
	err := library(ctx, func() error {
		return (&gozfs.Dataset{Name: full}).Destroy(gozfs.DestroyDefault)
	})
	switch {
	case errors.Is(err, cluster.ErrNotFound):
		return nil
	case errors.Is(err, errBusy):
		if holders, _ := run(ctx, "zfs", "holds", "-H", full); holders != "" { // more than the error says, where it can be had
			return fmt.Errorf("%w; it is held: %s", err, strings.Join(strings.Fields(holders), " "))
		}
	}
	return err
}
