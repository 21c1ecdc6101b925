package client

import (
	"context"
	"net/http"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Configuration returns what users want, and its revision.
func (c *Client) Configuration(ctx context.Context) (wire.ConfigurationDocument, error) {
	return get[wire.ConfigurationDocument](ctx, c, wire.PathConfiguration)
}

// Configure replaces the configuration. With a from other than zero it does so only if the
// configuration is of that revision still; else the result is cluster.ErrStale.
func (c *Client) Configure(ctx context.Context, from cluster.Revision, next cluster.Configuration) (wire.ConfigurationDocument, error) {
	var document wire.ConfigurationDocument
	_, err := c.do(ctx, request{
		method:  http.MethodPut,
		path:    wire.PathConfiguration,
		ifMatch: from,
		// A clone has all its maps: the service refuses a body without them.
		body: wire.ConfigurationDocument{Configuration: next.Clone()},
	}, &document)
	return document, err
}

// Preview returns what would happen if next were the configuration.
func (c *Client) Preview(ctx context.Context, next cluster.Configuration) ([]wire.PlannedStep, error) {
	return post[[]wire.PlannedStep](ctx, c, wire.PathPreview, wire.ConfigurationDocument{Configuration: next.Clone()})
}

// Status returns the cluster at a glance.
func (c *Client) Status(ctx context.Context) (wire.Status, error) {
	return get[wire.Status](ctx, c, wire.PathStatus)
}
