package client

import (
	"context"
	"net/http"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Moves returns the moves, open ones first.
func (c *Client) Moves(ctx context.Context) ([]cluster.Move, error) {
	return get[[]cluster.Move](ctx, c, wire.PathMoves)
}

// Move returns a move and its revision: at once with a since of zero, else once it has another
// revision than since. When it still has that one after the wait (at most a minute), the revision
// is since and the move is empty.
func (c *Client) Move(ctx context.Context, id cluster.MoveID, since cluster.Revision, wait time.Duration) (cluster.Move, cluster.Revision, error) {
	var move cluster.Move
	header, err := c.do(ctx, request{
		method: http.MethodGet,
		path:   path(wire.PathMove, string(id)),
		query:  poll(uint64(since), wait),
		wait:   wait,
	}, &move)
	if err != nil || header == nil {
		return cluster.Move{}, since, err
	}
	revision, err := wire.ParseETag(header.Get("ETag"))
	return move, revision, err
}

// RequestMove asks for a move. It returns as soon as the move is accepted.
func (c *Client) RequestMove(ctx context.Context, r wire.MoveRequest) (cluster.Move, error) {
	return post[cluster.Move](ctx, c, wire.PathMoves, r)
}

// AbortMove gives a move up. Once it is committed the result is cluster.ErrConflict.
func (c *Client) AbortMove(ctx context.Context, id cluster.MoveID) (cluster.Move, error) {
	return post[cluster.Move](ctx, c, path(wire.PathMoveAbort, string(id)), nil)
}

// Ready is the answer of the target, whose certificate the caller has, to a move.
func (c *Client) Ready(ctx context.Context, id cluster.MoveID, r wire.ReadyReport) error {
	return c.send(ctx, http.MethodPost, path(wire.PathMoveReady, string(id)), r)
}

// Progress says where the source, whose certificate the caller has, stands with a move.
func (c *Client) Progress(ctx context.Context, id cluster.MoveID, r wire.ProgressReport) error {
	return c.send(ctx, http.MethodPost, path(wire.PathMoveProgress, string(id)), r)
}

// Hold has the proxies hold new connections, and returns once they do or did not in time.
func (c *Client) Hold(ctx context.Context, id cluster.MoveID, r wire.AttemptRequest) (wire.HoldResult, error) {
	return post[wire.HoldResult](ctx, c, path(wire.PathMoveHold, string(id)), r)
}

// Commit asks for the change of owner. An error that is cluster.ErrUnavailable, or that of ctx,
// leaves open whether it has happened.
func (c *Client) Commit(ctx context.Context, id cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error) {
	return post[cluster.Ownership](ctx, c, path(wire.PathMoveCommit, string(id)), r)
}

// Failed says that an attempt did not work out. After it is answered the attempt cannot commit.
func (c *Client) Failed(ctx context.Context, id cluster.MoveID, r wire.FailureReport) error {
	return c.send(ctx, http.MethodPost, path(wire.PathMoveFailed, string(id)), r)
}
