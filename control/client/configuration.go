package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

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

// Change replaces the configuration current by next, if it is current still; else the result is cluster.ErrStale. It
// sends what differs alone, unless the service is of an earlier version.
func (c *Client) Change(ctx context.Context, current wire.ConfigurationDocument, next cluster.Configuration) (wire.ConfigurationDocument, error) {
	patch, err := wire.PatchBetween(current.Configuration, next)
	if err != nil {
		return wire.ConfigurationDocument{}, fmt.Errorf("%w: encode a change: %w", cluster.ErrInvalid, err)
	}
	var document wire.ConfigurationDocument
	_, err = c.do(ctx, request{method: http.MethodPatch, path: wire.PathConfiguration, ifMatch: current.Revision,
		body: wire.PatchDocument{Configuration: patch}}, &document)
	if unknownCall(err) {
		return c.Configure(ctx, current.Revision, next)
	}
	return document, err
}

// Preview returns what would happen if next were the configuration.
func (c *Client) Preview(ctx context.Context, next cluster.Configuration) ([]wire.PlannedStep, error) {
	return post[[]wire.PlannedStep](ctx, c, wire.PathPreview, wire.ConfigurationDocument{Configuration: next.Clone()})
}

// Pending returns what is missing of those subjects, or, from a service of an earlier version, of everything.
func (c *Client) Pending(ctx context.Context, of wire.Subjects) (wire.Missing, error) {
	query := url.Values{"volume": of.Volumes, "node": of.Nodes}
	for _, name := range of.Applications {
		query.Add("application", string(name))
	}
	var missing wire.Missing
	_, err := c.do(ctx, request{method: http.MethodGet, path: wire.PathPending, query: query}, &missing)
	if unknownCall(err) {
		status, err := c.Status(ctx)
		return status.Missing(), err
	}
	return missing, err
}

// unknownCall reports whether an error says that the service is of an earlier version, without that call.
func unknownCall(err error) bool {
	var answer *wire.RemoteError
	return errors.As(err, &answer) && answer.Body.Kind == "" &&
		(answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed)
}

// Status returns the cluster at a glance.
func (c *Client) Status(ctx context.Context) (wire.Status, error) {
	return get[wire.Status](ctx, c, wire.PathStatus)
}
