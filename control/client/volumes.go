package client

import (
	"context"
	"net/http"
	"time"

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

// VolumeChanges returns the volumes that changed since a revision, in brief. When none has after the wait
// (at most a minute), changed is false.
func (c *Client) VolumeChanges(ctx context.Context, since cluster.Revision, wait time.Duration) (changes wire.VolumeChanges, changed bool, err error) {
	header, err := c.do(ctx, request{method: http.MethodGet, path: wire.PathVolumeChanges, query: poll(uint64(since), wait), wait: wait}, &changes)
	return changes, header != nil, err
}

// CreateVolume asks for a new volume. It is Created once its owner has made it.
func (c *Client) CreateVolume(ctx context.Context, r wire.VolumeRequest) (wire.VolumeStatus, error) {
	return post[wire.VolumeStatus](ctx, c, wire.PathVolumes, r)
}

// ResizeVolume asks for another size limit.
func (c *Client) ResizeVolume(ctx context.Context, nameOrID string, r wire.ResizeRequest) (wire.VolumeStatus, error) {
	return post[wire.VolumeStatus](ctx, c, path(wire.PathVolumeResize, nameOrID), r)
}

// DeleteVolume puts the copies of a volume into the trash of their nodes.
func (c *Client) DeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error) {
	return del[wire.VolumeStatus](ctx, c, path(wire.PathVolume, nameOrID))
}

// UndeleteVolume brings a deleted volume back.
func (c *Client) UndeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error) {
	return post[wire.VolumeStatus](ctx, c, path(wire.PathVolumeUndelete, nameOrID), nil)
}

// TakeOverVolume makes a node that holds a replica the owner, in place of one that has lost its copy.
func (c *Client) TakeOverVolume(ctx context.Context, nameOrID string, r wire.TakeoverRequest) (wire.VolumeStatus, error) {
	return post[wire.VolumeStatus](ctx, c, path(wire.PathVolumeTakeover, nameOrID), r)
}

// RollbackVolume asks for the content of a snapshot. It is done when the owner's copy has the id of
// the wish.
func (c *Client) RollbackVolume(ctx context.Context, volume string, r wire.RollbackRequest) (wire.VolumeStatus, error) {
	return post[wire.VolumeStatus](ctx, c, path(wire.PathVolumeRollback, volume), r)
}

// Snapshots returns those that the owner of a volume keeps for users.
func (c *Client) Snapshots(ctx context.Context, volume string) ([]cluster.Snapshot, error) {
	return get[[]cluster.Snapshot](ctx, c, path(wire.PathSnapshots, volume))
}

// RequestSnapshot asks for a snapshot. It is listed by Snapshots once the owner has made it.
func (c *Client) RequestSnapshot(ctx context.Context, volume string, r wire.SnapshotRequest) error {
	return c.send(ctx, http.MethodPost, path(wire.PathSnapshots, volume), r)
}

// DropSnapshot takes back the wish for a snapshot.
func (c *Client) DropSnapshot(ctx context.Context, volume string, snapshot cluster.SnapshotName) (wire.VolumeStatus, error) {
	return del[wire.VolumeStatus](ctx, c, path(wire.PathSnapshot, volume, string(snapshot)))
}
