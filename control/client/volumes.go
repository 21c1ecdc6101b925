package client

import (
	"context"
	"net/http"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Volumes returns the volumes with their owners and copies.
func (c *Client) Volumes(ctx context.Context) ([]wire.VolumeStatus, error) {
	return get[[]wire.VolumeStatus](ctx, c, wire.PathVolumes)
}

// Volume returns the volume of that name or id.
func (c *Client) Volume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error) {
	return get[wire.VolumeStatus](ctx, c, path(wire.PathVolume, nameOrID))
}

// Snapshots returns those that the owner of a volume keeps for users.
func (c *Client) Snapshots(ctx context.Context, volume string) ([]cluster.Snapshot, error) {
	return get[[]cluster.Snapshot](ctx, c, path(wire.PathSnapshots, volume))
}

// RequestSnapshot asks for a snapshot. It is listed by Snapshots once the owner has made it.
func (c *Client) RequestSnapshot(ctx context.Context, volume string, r wire.SnapshotRequest) error {
	return c.send(ctx, http.MethodPost, path(wire.PathSnapshots, volume), r)
}
