package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A session is a connection to a node that is made again when it breaks. Operations that run at
// the same time are answered in the order in which they were asked: each waits for the packets of
// those before it. One that ends with its context takes the connection with it, because its answer
// would still come; others go on over a new one.
type session struct {
	transport *Transport
	to        cluster.Node

	closing context.Context // ends with Close
	close   context.CancelCauseFunc

	slot chan struct{} // held by whoever looks at conn or makes it
	conn *connection   // nil when there is none
}

// errClosed ends what is under way when a session is closed.
var errClosed = fmt.Errorf("%w: the session is closed", cluster.ErrUnavailable)

func newSession(t *Transport, to cluster.Node) *session {
	s := &session{transport: t, to: to, slot: make(chan struct{}, 1)}
	s.closing, s.close = context.WithCancelCause(context.Background())
	return s
}

// connected returns the connection, which it makes if there is none.
func (s *session) connected(ctx context.Context) (*connection, error) {
	select {
	case s.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-s.slot }()
	if s.closing.Err() != nil {
		return nil, errClosed
	}
	if s.conn != nil {
		return s.conn, nil
	}
	conn, err := s.transport.connect(ctx, s.to)
	s.conn = conn
	return conn, err
}

// drop closes a connection that has proved broken, so that the next use makes a new one.
func (s *session) drop(c *connection) {
	c.close() // it is broken; there is nothing to learn from how
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	if s.conn == c {
		s.conn = nil
	}
}

// Close implements transfer.Session. What is under way fails.
func (s *session) Close() error {
	s.close(errClosed)
	s.slot <- struct{}{}
	defer func() { <-s.slot }()
	if s.conn != nil {
		s.conn.close() // a connection that is broken already is closed, too
		s.conn = nil
	}
	return nil
}

// Copy implements transfer.Session.
func (s *session) Copy(ctx context.Context, id cluster.VolumeID) (held volume.Copy, err error) {
	err = s.attempts(ctx, func(_ context.Context, c *connection, _ *patience) (err error) {
		held, err = readCopy(c, id)
		return err
	})
	if err != nil {
		return volume.Copy{}, fmt.Errorf("volume %s: %w", id, err)
	}
	return held, nil
}

// HasImage implements transfer.Session.
func (s *session) HasImage(ctx context.Context, name string) (has bool, err error) {
	err = s.attempts(ctx, func(_ context.Context, c *connection, _ *patience) error {
		_, err := c.sftp.Stat(imagePath(name))
		has = err == nil
		if errors.Is(answered(err), cluster.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("image %s: %w", name, err)
	}
	return has, nil
}

// readCopy takes three round trips: open, read, and close, whose answer nobody needs. What comes is
// bounded; what cannot be right is an *ownError: asked again, the other side would say the same.
func readCopy(c *connection, id cluster.VolumeID) (held volume.Copy, err error) {
	f, err := c.sftp.Open(path.Join("/volumes", string(id), partCopy))
	if err != nil {
		return held, err
	}
	defer f.Close()
	said, err := io.ReadAll(io.LimitReader(f, maxCopy+1))
	if err != nil {
		return held, err
	}
	if held, err = decodeCopy(said, id); err != nil {
		return held, &ownError{fmt.Errorf("what the other side says of its copy: %w", err)}
	}
	return held, nil
}

// attempts makes one attempt after the other, each on a connection that was good when it began,
// until one succeeds, the other side says no, patience runs out, ctx ends or the session is
// closed.
func (s *session) attempts(ctx context.Context, attempt func(context.Context, *connection, *patience) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.closing, func() { cancel(errClosed) })()
	p := newPatience(s.transport.pause)
	for {
		again, err := s.attempt(ctx, func(c *connection) error { return attempt(ctx, c, p) })
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !again {
			return err
		}
		s.transport.log().Warn("a transfer was interrupted; it is tried again", "to", s.to.Name, "error", err)
		if err := p.wait(ctx, err); err != nil {
			return err
		}
	}
}

// attempt makes one attempt, and says whether another one may end better.
func (s *session) attempt(ctx context.Context, do func(*connection) error) (again bool, err error) {
	c, err := s.connected(ctx)
	if err != nil {
		return errors.Is(err, cluster.ErrUnavailable), err
	}
	// What the other side does not answer ends with the context.
	stop := context.AfterFunc(ctx, func() { c.ssh.Close() })
	err = do(c)
	var own *ownError
	var remote *remoteError
	switch {
	case !stop():
		s.drop(c)
	case err == nil:
	case errors.As(err, &own):
		s.drop(c) // the file was left open
		return false, own.error
	case errors.As(answered(err), &remote):
		return errors.Is(remote, cluster.ErrUnavailable), remote
	default:
		s.drop(c)
		return true, fmt.Errorf("%w: the connection to %s broke: %w", cluster.ErrUnavailable, s.to.Name, err)
	}
	return false, err
}

// maxFruitless is how many attempts in a row may come to nothing; with the waits between them it
// takes about ten seconds, in which a peer can start again.
const maxFruitless = 10

// patience is what is left of it for one operation.
type patience struct {
	policy    *backoff.ExponentialBackOff
	fruitless int
}

// newPatience waits for first between the first two attempts, or a default, and then longer.
func newPatience(first time.Duration) *patience {
	first = cmp.Or(first, 50*time.Millisecond)
	p := &patience{policy: backoff.NewExponentialBackOff()}
	p.policy.InitialInterval, p.policy.Multiplier, p.policy.MaxInterval = first, 2, 40*first
	return p
}

// renew is for an attempt that brought something, even if it failed.
func (p *patience) renew() {
	p.fruitless = 0
	p.policy.Reset()
}

// wait waits before the next attempt, or returns why there is none: ctx has ended, or too many
// attempts came to nothing, of which err is the last.
func (p *patience) wait(ctx context.Context, err error) error {
	p.fruitless++
	if p.fruitless >= maxFruitless {
		return fmt.Errorf("gave up after %s: %w", cluster.Count(p.fruitless, "attempt"), err)
	}
	timer := time.NewTimer(p.policy.NextBackOff())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
