package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/sleep"
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
// and returns it. It does not wait for nodes that are gone. With an error it returns the last status that it
// has seen, whose Pending says what is missing. See may be nil.
func (c *Client) WaitConverged(ctx context.Context, see func(wire.Status)) (wire.Status, error) {
	return c.waitStatus(ctx, "the cluster to converge", see, func(s wire.Status) bool { return s.Converged })
}

// WaitFor is WaitConverged for some subjects alone. It asks for no more than what they lack.
func (c *Client) WaitFor(ctx context.Context, of wire.Subjects, see func(wire.Missing)) (wire.Missing, error) {
	var last wire.Missing
	err := waitFor(ctx, "what was asked for", func() (bool, wire.Missing, error) {
		missing, err := c.Pending(ctx, of)
		if err == nil {
			last = missing
			if see != nil {
				see(last)
			}
		}
		return last.Converged, missing, err
	})
	return last, err
}

// WaitServing is WaitConverged for an application without a volume alone: it waits until it serves on a node.
func (c *Client) WaitServing(ctx context.Context, app cluster.AppName, node cluster.NodeID, see func(wire.Status)) (wire.Status, error) {
	return c.waitStatus(ctx, fmt.Sprintf("%s to serve", app), see, func(s wire.Status) bool { return s.Serves(app, node) })
}

// waitStatus calls see with the status of the cluster, again and again, until it is as wanted.
func (c *Client) waitStatus(ctx context.Context, what string, see func(wire.Status), is func(wire.Status) bool) (wire.Status, error) {
	var last wire.Status
	err := waitFor(ctx, what, func() (bool, wire.Missing, error) {
		status, err := c.Status(ctx)
		if err == nil {
			last = status
			if see != nil {
				see(last)
			}
		}
		return is(last), status.Missing(), err
	})
	return last, err
}

// waitFor asks, again and again, until there is an answer that all is as wanted.
func waitFor(ctx context.Context, what string, ask func() (done bool, missing wire.Missing, err error)) error {
	var absent absence
	for {
		done, missing, err := ask()
		if err := absent.outlast(ctx, err); err != nil {
			return err
		}
		if err != nil {
			continue
		}
		if done {
			return nil
		}
		if err := stuck(missing); err != nil {
			return err
		}
		if err := sleep.For(ctx, pause); err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
	}
}

// WaitStuck waits until nothing can go on but by nodes that are gone, and says which: cluster.ErrUnavailable.
func (c *Client) WaitStuck(ctx context.Context, of wire.Subjects) error {
	for {
		if missing, err := c.Pending(ctx, of); err == nil && stuck(missing) != nil {
			return stuck(missing)
		}
		if err := sleep.For(ctx, 10*pause); err != nil {
			return err
		}
	}
}

// stuck says which nodes are waited for in vain, if nothing else is waited for.
func stuck(s wire.Missing) error {
	var gone, ways []string
	waits := map[string]bool{}
	for _, n := range s.Gone {
		since := n.Since.UTC().Format(time.DateTime + " MST")
		if n.Removed {
			gone = append(gone, fmt.Sprintf("node %s, which was removed at %s (%s)", n.Name, since, strings.Join(n.Waits, "; ")))
		} else {
			gone = append(gone, fmt.Sprintf("node %s, which has not been heard of since %s (%s)", n.Name, since, strings.Join(n.Waits, "; ")))
			ways = append(ways, fmt.Sprintf("bring %[1]s back, and the rest follows by itself, or give it up: drover node rm %[1]s, drover node replace %[1]s NODE", n.Name))
		}
		for _, sentence := range n.Waits {
			waits[sentence] = true
		}
	}
	if len(waits) == 0 || slices.ContainsFunc(s.Pending, func(sentence string) bool { return !waits[sentence] }) {
		return nil
	}
	err := fmt.Errorf("%w: what is left waits for %s", cluster.ErrUnavailable, strings.Join(gone, "; and for "))
	return cluster.WithHint(err, strings.Join(ways, "; "))
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
	return sleep.For(ctx, pause)
}
