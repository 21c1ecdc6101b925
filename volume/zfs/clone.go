package zfs

import (
	"context"
	"errors"
	"fmt"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Clone implements volume.Cloner. The clone shares the space of what it has in common with the other
// volume until either of them writes.
func (b *Backend) Clone(ctx context.Context, id cluster.VolumeID, o volume.Options, from cluster.VolumeID, at cluster.SnapshotName) error {
	return b.make(ctx, id, o, func(name string, properties map[string]string) error {
		source, err := b.find(ctx, from)
		if err != nil {
			return err
		}
		if at, err = b.cloneOf(ctx, id, source, at); err != nil {
			return err
		}
		if o.Owner != 0 || o.Group != 0 {
			properties[propOwner] = owner(o)
		}
		return library(ctx, func() error {
			snapshot := &gozfs.Dataset{Name: source.name + "@" + string(at), Type: gozfs.DatasetSnapshot}
			_, err := snapshot.Clone(name, properties)
			return err
		})
	})
}

// cloneOf returns the snapshot that a clone hangs on: the one that was asked for, or one of the present
// content, which is made for it unless there is one.
func (b *Backend) cloneOf(ctx context.Context, id cluster.VolumeID, source *dataset, at cluster.SnapshotName) (cluster.SnapshotName, error) {
	if at != "" {
		if s := source.snapshot(at); s == nil || !s.counts() {
			return "", fmt.Errorf("snapshot %s: %w", at, cluster.ErrNotFound)
		}
		return at, nil
	}
	if head := source.head(); head != nil {
		return cluster.SnapshotName(head.name), nil // a replica must get none that others do not have
	}
	if err := b.replay(ctx, source); err != nil {
		return "", err
	}
	at = cluster.SnapshotName("clone-" + string(id))
	err := zfs(ctx, "snapshot", "-o", propSnapshot+"="+forClone, source.name+"@"+string(at))
	if errors.Is(err, cluster.ErrExists) {
		return at, nil // from an attempt that was broken off
	}
	return at, err
}
