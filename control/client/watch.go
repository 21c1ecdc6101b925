package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

const (
	// pause is how long a watch waits before it asks again.
	pause = 200 * time.Millisecond
	// pollWait is how long a watch lets the service wait for a change.
	pollWait = 30 * time.Second
	// longestAbsence is how long a watch goes on without an answer: a service that starts again
	// is back by then, and one that is not will not be soon.
	longestAbsence = 30 * time.Second
)

// WatchMove calls see with a move as it is, and after each change, until it has ended, and
// returns it.
func (c *Client) WatchMove(ctx context.Context, id cluster.MoveID, see func(cluster.Move)) (cluster.Move, error) {
	var absent absence
	var since cluster.Revision
	for {
		move, revision, err := c.Move(ctx, id, since, pollWait)
		if err := absent.outlast(ctx, err); err != nil {
			return cluster.Move{}, err
		}
		if err != nil || revision == since {
			continue
		}
		since = revision
		see(move)
		if move.Phase.Ended() {
			return move, nil
		}
	}
}

// WaitConverged calls see with the status of the cluster, again and again, until it has converged,
// and returns it. With an error it returns the last status that it has seen, whose Pending says
// what is missing. See may be nil.
func (c *Client) WaitConverged(ctx context.Context, see func(wire.Status)) (wire.Status, error) {
	var absent absence
	var last wire.Status
	for {
		status, err := c.Status(ctx)
		if err := absent.outlast(ctx, err); err != nil {
			return last, err
		}
		if err != nil {
			continue
		}
		last = status
		if see != nil {
			see(last)
		}
		if last.Converged {
			return last, nil
		}
		if err := sleep(ctx, pause); err != nil {
			return last, fmt.Errorf("wait for the cluster to converge: %w", err)
		}
	}
}

// An absence is a time without answers of the service.
type absence struct{ since time.Time }

// outlast takes the result of a request. It returns nil if there was an answer, or if it is worth
// asking again, after a pause.
func (a *absence) outlast(ctx context.Context, err error) error {
	switch {
	case !errors.Is(err, cluster.ErrUnavailable):
		a.since = time.Time{}
		return err
	case a.since.IsZero():
		a.since = time.Now()
	case time.Since(a.since) > longestAbsence:
		return err
	}
	return sleep(ctx, pause)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
