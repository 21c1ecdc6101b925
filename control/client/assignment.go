package client

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// told is the assignment that the service has told this client last, so that it need not be told all again, also by
// a service that was started anew since.
type told struct {
	mu         sync.Mutex
	assignment cluster.Assignment
}

// at returns the assignment, if it is that revision of that node's; or, for who asks for all of it, the one of that
// node that it may still be in part. Otherwise it is forgotten.
func (t *told) at(node cluster.NodeID, since cluster.Revision) (a cluster.Assignment, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.assignment.Node != node || since != 0 && t.assignment.Revision != since {
		t.assignment = cluster.Assignment{}
	}
	return t.assignment, t.assignment.Revision != 0
}

func (t *told) remember(assignment cluster.Assignment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.assignment = assignment
}

// Assignment returns the assignment of the caller's own node once it has another revision than since. When
// it still has that one after the wait (at most a minute, and half of one at least if heartbeats go with it), changed
// is false. Who asks again and again is sent
// what has changed; what is returned is all of it, and must not be changed.
func (c *Client) Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision, wait time.Duration) (assignment cluster.Assignment, changed bool, err error) {
	earlier, known := c.told.at(node, since)
	have := ""
	if known && since == 0 {
		have = wire.Digest(earlier)
	}
	changes, changed, err := c.poll(ctx, node, since, known, have, wait)
	if err != nil || !changed {
		return cluster.Assignment{}, false, err
	}
	if assignment, err = changes.Onto(earlier); err != nil {
		return cluster.Assignment{}, false, fmt.Errorf("read the answer of the control service at %s: %w", c.address, err)
	}
	c.told.remember(assignment)
	return assignment, true, nil
}

// AssignmentChanges is Assignment for a caller that remembers the one of revision since by itself, and has routes, nodes
// and keys of that wire.Digest; empty: none.
func (c *Client) AssignmentChanges(ctx context.Context, node cluster.NodeID, since cluster.Revision, have string, wait time.Duration) (changes wire.AssignmentChanges, changed bool, err error) {
	return c.poll(ctx, node, since, true, have, wait)
}

func (c *Client) poll(ctx context.Context, node cluster.NodeID, since cluster.Revision, known bool, have string, wait time.Duration) (changes wire.AssignmentChanges, changed bool, err error) {
	r := request{method: http.MethodGet, path: path(wire.PathNodeAssignment, string(node)), heart: &c.heart}
	if r.beats, r.wait = c.heart.poll(node, wait); r.beats != nil {
		defer r.beats.Close()
	}
	r.query = poll(uint64(since), r.wait)
	if known {
		r.query.Set("changes", "true")
	}
	if have != "" {
		r.query.Set("have", have)
	}
	header, err := c.do(ctx, r, &changes)
	if err != nil {
		c.heart.stop()
	}
	return changes, header != nil, err
}
