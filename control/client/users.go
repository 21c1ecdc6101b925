package client

import (
	"context"
	"net/http"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Revocations returns who was shut out, by name.
func (c *Client) Revocations(ctx context.Context) ([]cluster.Revocation, error) {
	return get[[]cluster.Revocation](ctx, c, wire.PathRevocations)
}

// RevokeUser shuts a user out.
func (c *Client) RevokeUser(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodPut, path(wire.PathRevocation, name), nil)
}
