// Package pipe carries volumes between backends in one process, for tests of what stands above a
// transport.
//
//	t := &pipe.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": b}}
package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// A Transport reaches the backends of its nodes. It implements transfer.Transport.
type Transport struct {
	Nodes map[cluster.NodeID]volume.Backend
	// Fail, if set, is asked before each transfer, and its error is the transfer's.
	Fail func(d volume.Delta) error
}

// Dial implements transfer.Transport.
func (t *Transport) Dial(_ context.Context, to cluster.Node) (transfer.Session, error) {
	b := t.Nodes[to.ID]
	if b == nil {
		return nil, fmt.Errorf("%w: node %s", cluster.ErrUnavailable, to.ID)
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
	r, w := io.Pipe()
	counted := &counter{w: w}
	sent := make(chan error, 1)
	go func() {
		err := source.Send(ctx, d, counted)
		w.CloseWithError(err)
		sent <- err
	}()
	err := s.backend.Receive(ctx, d, r)
	r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	if sourceErr := <-sent; sourceErr != nil && !errors.Is(sourceErr, io.ErrClosedPipe) {
		err = sourceErr // why the stream was cut
	}
	if o.Progress != nil {
		o.Progress(counted.n)
	}
	return counted.n, err
}

// Close implements transfer.Session.
func (session) Close() error { return nil }

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
