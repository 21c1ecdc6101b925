package zfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
)

// holdTag is the tag by which a base is held, so that no clean-up of snapshots takes it away.
const holdTag = "drover"

// Snapshot implements volume.Backend. One that is made for a transfer is held: it is the base of the
// next.
func (b *Backend) Snapshot(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (cluster.Snapshot, error) {
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
	if err := b.replay(ctx, d); err != nil {
		return cluster.Snapshot{}, err
	}
	purpose := forTransfer
	if keep {
		purpose = forUser
	}
	full := d.name + "@" + string(name)
	if err := zfs(ctx, "snapshot", "-o", propSnapshot+"="+purpose, full); err != nil {
		return cluster.Snapshot{}, fmt.Errorf("make snapshot %s: %w", name, err)
	}
	s, err := snapshotAt(ctx, full)
	if err == nil && !keep {
		err = keepBase(ctx, full)
	}
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("make snapshot %s: %w", name, err)
	}
	return s.noun(), nil
}

// snapshotAt reads one snapshot, by its whole name.
func snapshotAt(ctx context.Context, full string) (*snapshot, error) {
	out, err := run(ctx, "zfs", "get", "-Hp", "-o", "name,property,value,source", "guid,createtxg,creation,referenced,written,clones,"+propSnapshot, full)
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
	if s.purpose() == forTransfer && b.bookmarks(d) {
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

// Rollback implements volume.Rollbacker. Until the wish is on record it can be done again, because
// nothing writes before the next Open.
func (b *Backend) Rollback(ctx context.Context, id cluster.VolumeID, to cluster.SnapshotName, wish string) error {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if err == nil {
		err = b.rollback(ctx, d, to, wish)
	}
	if err != nil {
		return fmt.Errorf("roll volume %s back to snapshot %s: %w", id, to, err)
	}
	return nil
}

func (b *Backend) rollback(ctx context.Context, d *dataset, to cluster.SnapshotName, wish string) error {
	i := slices.IndexFunc(d.snapshots, func(s *snapshot) bool { return s.name == string(to) && s.counts() })
	switch {
	case d.own(propRollback) == wish:
		return nil
	case d.mayWrite() || d.mounted():
		return fmt.Errorf("%w: it is open", cluster.ErrConflict)
	case d.role() != cluster.Primary:
		return fmt.Errorf("%w: the copy is a replica", cluster.ErrConflict)
	case i < 0:
		return cluster.ErrNotFound
	}
	later := d.snapshots[i+1:]
	if other := d.othersAfter(d.snapshots[i]); other != "" {
		return fmt.Errorf("%w: %s is later, and Drover has not made it: destroy it, or choose another snapshot", cluster.ErrConflict, other)
	}
	if err := b.mayGo(ctx, d, later); err != nil {
		return err
	}
	for _, s := range slices.Backward(later) {
		if err := b.destroy(ctx, d.name+"@"+s.name); err != nil {
			return err
		}
	}
	// -r is for bookmarks that are later; there are no snapshots that are.
	err := library(ctx, func() error {
		return (&gozfs.Dataset{Name: d.name + "@" + string(to), Type: gozfs.DatasetSnapshot}).Rollback(true)
	})
	if err != nil {
		return err
	}
	return set(ctx, d.name, map[string]string{propRollback: wish})
}

// mayGo looks, before the first of them is destroyed, whether snapshots can be.
func (b *Backend) mayGo(ctx context.Context, d *dataset, later []*snapshot) error {
	args := []string{"holds", "-H"}
	for _, s := range later {
		if clones := s.clones(); clones != "" {
			return fmt.Errorf("%w: %s@%s is later, and %s is a clone of it: remove that first", cluster.ErrConflict, d.name, s.name, clones)
		}
		args = append(args, d.name+"@"+s.name)
	}
	if len(later) == 0 {
		return nil
	}
	held, err := run(ctx, "zfs", args...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(held) {
		if fields := strings.Split(line, "\t"); len(fields) > 1 && fields[1] != holdTag {
			return fmt.Errorf("%w: %s is later, and held by %s: zfs release it first", cluster.ErrConflict, fields[0], fields[1])
		}
	}
	return nil
}

// othersAfter names a snapshot or bookmark of somebody else's that is later than s, or returns "".
func (d *dataset) othersAfter(s *snapshot) string {
	for _, other := range d.snapshots {
		if other.created() > s.created() && other.foreign() {
			return d.name + "@" + other.name
		}
	}
	for _, other := range d.bookmarks {
		if other.created() > s.created() && !strings.HasPrefix(other.name, bookmarkPrefix) {
			return d.name + "#" + other.name
		}
	}
	return ""
}

// Flush implements volume.Flusher.
func (b *Backend) Flush(ctx context.Context, _ cluster.VolumeID) error {
	_, err := run(ctx, "zpool", "sync", b.pool())
	return err
}
