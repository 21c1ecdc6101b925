package client

import (
	"context"

	"github.com/drover/drover/control/wire"
)

// Recovery asks whether the store of the service has gone back, and what would follow from accepting it.
func (c *Client) Recovery(ctx context.Context) (wire.Recovery, error) {
	return get[wire.Recovery](ctx, c, wire.PathRecovery)
}

// AcceptRecovery makes what the store holds count again, and returns what that led to.
func (c *Client) AcceptRecovery(ctx context.Context, r wire.AcceptRequest) (wire.Recovery, error) {
	return post[wire.Recovery](ctx, c, wire.PathRecovery, r)
}
