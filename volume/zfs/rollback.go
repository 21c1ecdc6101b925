package zfs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
)

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
	if strings.ContainsFunc(wish, unprintable) {
		return fmt.Errorf("%w: %.100q is no id of a request", cluster.ErrInvalid, wish)
	}
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
		b.forgetListing(d, s)
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
