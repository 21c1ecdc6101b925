package client

import (
	"context"
	"net/http"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Nodes returns the nodes with what they last said of themselves.
func (c *Client) Nodes(ctx context.Context) ([]wire.NodeStatus, error) {
	return get[[]wire.NodeStatus](ctx, c, wire.PathNodes)
}

// RemoveNode forgets a node that is gone for good, given by id, name or address; or says, unless it is
// confirmed, what would become of what that has.
func (c *Client) RemoveNode(ctx context.Context, node string, r wire.RemovalRequest) (wire.Removal, error) {
	return post[wire.Removal](ctx, c, path(wire.PathNodeRemoval, node), r)
}

// RemovedNodes returns the nodes that were removed, the last one first.
func (c *Client) RemovedNodes(ctx context.Context) ([]cluster.RemovedNode, error) {
	return get[[]cluster.RemovedNode](ctx, c, wire.PathRemovedNodes)
}

// ReadmitNode lets a node that was removed, given by id or name, register again.
func (c *Client) ReadmitNode(ctx context.Context, node string) (cluster.RemovedNode, error) {
	return del[cluster.RemovedNode](ctx, c, path(wire.PathRemovedNode, node))
}

// Register describes the caller's own node.
func (c *Client) Register(ctx context.Context, n cluster.Node) error {
	return c.send(ctx, http.MethodPut, path(wire.PathNode, string(n.ID)), n)
}

// Report says what the caller's own node observes.
func (c *Client) Report(ctx context.Context, s cluster.NodeState) error {
	return c.send(ctx, http.MethodPut, path(wire.PathNodeState, string(s.Node)), s)
}

// Heartbeat says that what the caller's own node reported last still holds. It goes with the long poll of Assignment,
// if the service takes it there: if it is refused, that ends with the error.
func (c *Client) Heartbeat(ctx context.Context, node cluster.NodeID, b wire.Heartbeat) error {
	if c.heart.beat(node, b) {
		return nil
	}
	return c.send(ctx, http.MethodPost, path(wire.PathNodeHeartbeat, string(node)), b)
}
