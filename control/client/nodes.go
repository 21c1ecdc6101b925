package client

import (
	"context"
	"net/http"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Nodes returns the nodes with what they last said of themselves.
func (c *Client) Nodes(ctx context.Context) ([]wire.NodeStatus, error) {
	return get[[]wire.NodeStatus](ctx, c, wire.PathNodes)
}

// Register describes the caller's own node.
func (c *Client) Register(ctx context.Context, n cluster.Node) error {
	return c.send(ctx, http.MethodPut, path(wire.PathNode, string(n.ID)), n)
}

// Report says what the caller's own node observes.
func (c *Client) Report(ctx context.Context, s cluster.NodeState) error {
	return c.send(ctx, http.MethodPut, path(wire.PathNodeState, string(s.Node)), s)
}

// Slice returns the slice of the caller's own node once it has another revision than since. When
// it still has that one after the wait (at most a minute), changed is false.
func (c *Client) Slice(ctx context.Context, node cluster.NodeID, since cluster.Revision, wait time.Duration) (slice cluster.Slice, changed bool, err error) {
	header, err := c.do(ctx, request{
		method: http.MethodGet,
		path:   path(wire.PathNodeSlice, string(node)),
		query:  poll(uint64(since), wait),
		wait:   wait,
	}, &slice)
	return slice, header != nil, err
}
