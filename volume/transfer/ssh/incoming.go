package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
)

// An incoming is a file that is being written: what comes goes into the backend.
type incoming struct {
	*sequencer
	pipe *io.PipeWriter
	stop func() bool
	done chan struct{} // closed when the backend has finished
	err  error         // why it did not work; set before done is closed
}

// incoming starts to receive something, if it is not being received already.
func (h *handlers) incoming(what string, receive func(io.Reader) error) (*incoming, error) {
	it := &arrival{from: h.from, conn: h.conn, over: make(chan struct{})}
	if err := h.server.arrivals.begin(h.ctx, what, it); err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	i := &incoming{sequencer: newSequencer(), pipe: w, done: make(chan struct{})}
	// Neither a worker nor the backend must wait for ever for a client that is gone.
	i.stop = context.AfterFunc(h.taking, func() { i.TransferError(nil) })
	h.streams.Go(func() {
		defer close(i.done)
		defer h.server.arrivals.end(what, it)
		i.err = h.receive(what, r, receive)
		r.CloseWithError(errors.Join(i.err, io.ErrClosedPipe))
	})
	return i, nil
}

func (h *handlers) receive(what string, r io.Reader, receive func(io.Reader) error) error {
	stream := newTrailed(r)
	err := receive(stream)
	if err == nil {
		err = stream.verify()
	}
	if err != nil && h.taking.Err() != nil {
		// Said to a client that is still there, this must not sound like a refusal.
		return fmt.Errorf("%w: receive %s: this node is shutting down: %w", cluster.ErrUnavailable, what, err)
	}
	return err
}

// WriteAt implements io.WriterAt.
func (i *incoming) WriteAt(p []byte, offset int64) (int, error) {
	if err := i.sequencer.wait(offset); err != nil {
		return 0, status(err)
	}
	n, err := i.pipe.Write(p)
	i.sequencer.done(offset + int64(len(p)))
	return n, status(err)
}

// TransferError is called when the client went away before it closed the file.
func (i *incoming) TransferError(error) {
	i.sequencer.end(io.ErrUnexpectedEOF)
	i.pipe.CloseWithError(io.ErrUnexpectedEOF)
}

// Close answers the client's close: everything is on stable storage, or why not.
func (i *incoming) Close() error {
	i.pipe.Close() // after TransferError this does nothing
	<-i.done
	i.stop()
	i.sequencer.end(io.ErrClosedPipe)
	return status(i.err)
}
