package zfs

import (
	"context"
	"strconv"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Resize implements volume.Resizer.
func (b *Backend) Resize(ctx context.Context, id cluster.VolumeID, bytes int64) error {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	limit := "none"
	if bytes > 0 {
		limit = strconv.FormatInt(bytes, 10)
	}
	return set(ctx, d.name, map[string]string{"refquota": limit})
}

// Label implements volume.Labeler. A name that somebody else's dataset has is shown as a property only.
func (b *Backend) Label(ctx context.Context, id cluster.VolumeID, l volume.Labels) error {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	if l.Name != "" && label(l.Name) != d.own(propName) {
		home, err := b.free(ctx, id, l.Name, d.name)
		if err != nil {
			return err
		}
		if home != d.name {
			if err := rename(ctx, d.name, home); err != nil {
				return err
			}
			d.name = home
		}
	}
	return set(ctx, d.name, map[string]string{propName: label(l.Name), propApplication: label(string(l.Application))})
}

// Flush implements volume.Flusher.
func (b *Backend) Flush(ctx context.Context, _ cluster.VolumeID) error {
	_, err := run(ctx, "zpool", "sync", b.pool())
	return err
}
