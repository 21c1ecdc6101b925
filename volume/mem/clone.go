package mem

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Clone implements volume.Cloner.
func (b *Backend) Clone(_ context.Context, id cluster.VolumeID, o volume.Options, from cluster.VolumeID, at cluster.SnapshotName) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	source, err := b.find(from)
	if err != nil {
		return err
	}
	content, ok := source.content, true
	if at != "" {
		content, ok = source.snapshots[at]
	}
	if !ok {
		return fmt.Errorf("clone volume %s: snapshot %s: %w", from, at, cluster.ErrNotFound)
	}
	return b.create(id, o, maps.Clone(content))
}

// Rollback implements volume.Rollbacker.
func (b *Backend) Rollback(_ context.Context, id cluster.VolumeID, to cluster.SnapshotName, wish string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Snapshots, func(s cluster.Snapshot) bool { return s.Name == to })
	switch {
	case c.Rollback == wish:
		return nil
	case c.Open || c.Role != cluster.Primary:
		return fmt.Errorf("%w: roll volume %s back: it is open, or a replica", cluster.ErrConflict, id)
	case i < 0:
		return fmt.Errorf("roll volume %s back: snapshot %s: %w", id, to, cluster.ErrNotFound)
	}
	for _, later := range c.Snapshots[i+1:] {
		delete(c.snapshots, later.Name)
	}
	c.Rollback, c.Head, c.Snapshots = wish, c.Snapshots[i].GUID, c.Snapshots[:i+1]
	c.content = maps.Clone(c.snapshots[to])
	return nil
}
