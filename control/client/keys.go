package client

import (
	"context"
	"net/http"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Keys returns the keys of users, by name.
func (c *Client) Keys(ctx context.Context) ([]cluster.UserKey, error) {
	return get[[]cluster.UserKey](ctx, c, wire.PathKeys)
}

// AddKey lets the holder of a key read volumes.
func (c *Client) AddKey(ctx context.Context, name string, r wire.KeyRequest) error {
	return c.send(ctx, http.MethodPut, path(wire.PathKey, name), r)
}

// RemoveKey shuts the holder of a key out.
func (c *Client) RemoveKey(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, path(wire.PathKey, name), nil)
}
