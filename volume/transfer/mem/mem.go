// Package mem carries volumes between backends in one process, for tests of what stands above a
// transport.
//
//	t := &mem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": b}}
//	session, err := t.Dial(ctx, cluster.Node{ID: "b"})
//
// It keeps the contract of package transfer, but for one thing: a connection that breaks is not
// made again, so that a test sees what one cut leaves behind.
package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// A Transport reaches the backends of its nodes. It implements transfer.Transport.
type Transport struct {
	Nodes map[cluster.NodeID]volume.Backend
	// Fail, if set, is asked before each transfer, and its error is the transfer's.
	Fail func(d volume.Delta) error
	// Cut, if set, is asked before each transfer after how many bytes it is cut; zero or less
	// means not at all. A transfer that is cut fails with cluster.ErrUnavailable.
	Cut func(d volume.Delta) (after int64)

	mu     sync.Mutex
	images map[string][]byte // of all nodes
}

// Dial implements transfer.Transport. A node that is not in Nodes is cluster.ErrUnavailable.
func (t *Transport) Dial(_ context.Context, to cluster.Node) (transfer.Session, error) {
	b := t.Nodes[to.ID]
	if b == nil {
		return nil, fmt.Errorf("%w: node %s is not there", cluster.ErrUnavailable, to.ID)
	}
	return session{t, b}, nil
}

type session struct {
	transport *Transport
	backend   volume.Backend
}

// Copy implements transfer.Session.
func (s session) Copy(ctx context.Context, id cluster.VolumeID) (volume.Copy, error) {
	return volume.Find(ctx, s.backend, id)
}

// Send implements transfer.Session.
func (s session) Send(ctx context.Context, d volume.Delta, source transfer.Source, o transfer.Options) (int64, error) {
	if s.transport.Fail != nil {
		if err := s.transport.Fail(d); err != nil {
			return 0, err
		}
	}
	if len(d.Resume) > 0 {
		arrived, err := s.arrived(ctx, d)
		if err != nil {
			return 0, err
		}
		if arrived != "" {
			defer os.Remove(arrived)
		}
		d.Arrived = arrived
	}
	r, w := io.Pipe()
	out := &wire{w: w}
	if s.transport.Cut != nil {
		out.limit = s.transport.Cut(d)
	}
	defer context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })()
	sent := make(chan error, 1)
	go func() {
		err := source.Send(ctx, d, out)
		w.CloseWithError(cutBy(err))
		sent <- err
	}()
	err := s.backend.Receive(ctx, d, r)
	if err == nil {
		_, err = io.Copy(io.Discard, r) // a source that fails at its end has failed, too
	}
	r.CloseWithError(errReceiver)
	if sourceErr := <-sent; sourceErr != nil && !errors.Is(sourceErr, errReceiver) {
		err = sourceErr // why the stream was cut
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if o.Progress != nil {
		o.Progress(out.shipped)
	}
	return out.shipped, err
}

// arrived fetches the listing of what has arrived of a delta; empty if it takes none to go on.
func (s session) arrived(ctx context.Context, d volume.Delta) (string, error) {
	lister, ok := volume.As[volume.Lister](s.backend)
	held, err := volume.Find(ctx, s.backend, d.Volume)
	if p := held.Partial; err != nil || !ok || p == nil || !p.Listed || p.From != d.From || p.To != d.To {
		return "", nil // what is wrong with it the receiver says
	}
	r, err := lister.Listing(ctx, d.Volume)
	if err != nil {
		return "", err
	}
	return transfer.Spool("", r)
}

// HasImage implements transfer.Session.
func (s session) HasImage(_ context.Context, name string) (bool, error) {
	s.transport.mu.Lock()
	defer s.transport.mu.Unlock()
	_, has := s.transport.images[name]
	return has, nil
}

// SendImage implements transfer.Session.
func (s session) SendImage(ctx context.Context, name string, save func(context.Context, io.Writer) error, o transfer.Options) (int64, error) {
	var b bytes.Buffer
	err := save(ctx, &b)
	if o.Progress != nil {
		o.Progress(int64(b.Len()))
	}
	if err != nil {
		return int64(b.Len()), err
	}
	s.transport.mu.Lock()
	defer s.transport.mu.Unlock()
	if s.transport.images == nil {
		s.transport.images = map[string][]byte{}
	}
	s.transport.images[name] = b.Bytes()
	return int64(b.Len()), nil
}

// Close implements transfer.Session.
func (session) Close() error { return nil }

// errReceiver is what the source sees when the receiver has ended first; the receiver's own error
// is the transfer's.
var errReceiver = errors.New("the receiver has ended")

// cutBy returns what the receiver sees of the source's error: it must not pass for the end.
func cutBy(err error) error {
	if err == nil {
		return nil
	}
	return io.ErrUnexpectedEOF
}

// A wire counts what it carries, and breaks after limit bytes if that is more than zero.
type wire struct {
	w              io.Writer
	limit, shipped int64
}

// Write implements io.Writer.
func (c *wire) Write(p []byte) (int, error) {
	cut := c.limit > 0 && c.shipped+int64(len(p)) > c.limit
	if cut {
		p = p[:c.limit-c.shipped]
	}
	n, err := c.w.Write(p)
	c.shipped += int64(n)
	if err == nil && cut {
		err = fmt.Errorf("%w: the connection was cut after %d bytes", cluster.ErrUnavailable, c.shipped)
	}
	return n, err
}
