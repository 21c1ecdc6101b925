package client

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Events returns the events with an id greater than since, oldest first. When there are none it
// waits for one, but no longer than the wait (at most a minute).
func (c *Client) Events(ctx context.Context, since uint64, wait time.Duration) ([]cluster.Event, error) {
	var events []cluster.Event
	_, err := c.do(ctx, request{method: http.MethodGet, path: wire.PathEvents, query: poll(since, wait), wait: wait}, &events)
	if err == nil && len(events) == 0 {
		// The service may notice that the caller has gone before the caller does, and answer that
		// there is nothing.
		err = context.Cause(ctx)
	}
	return events, err
}

// Record keeps an event of the caller's own node, which e.Node must name.
func (c *Client) Record(ctx context.Context, e cluster.Event) error {
	if e.Node == "" {
		return fmt.Errorf("%w: record an event: it names no node", cluster.ErrInvalid)
	}
	return c.send(ctx, http.MethodPost, path(wire.PathNodeEvents, string(e.Node)), e)
}
