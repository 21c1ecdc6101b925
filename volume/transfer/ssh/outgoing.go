package ssh

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/drover/drover/volume"
)

// An outgoing is a file that is being read from its start to its end: the backend makes it.
type outgoing struct {
	*turn
	pipe *io.PipeReader
	stop context.CancelFunc
	// end is one more than the length of the stream, once that is known.
	end atomic.Int64
}

func (h *handlers) outgoing(d volume.Delta) *outgoing {
	ctx, cancel := context.WithCancel(h.ctx)
	r, w := io.Pipe()
	o := &outgoing{turn: newTurn(), pipe: r, stop: cancel}
	context.AfterFunc(ctx, func() {
		o.turn.end(io.ErrClosedPipe)
		r.CloseWithError(io.ErrClosedPipe)
	})
	// Without its kind: an io.EOF in it would pass for the end of the stream.
	h.streams.Go(func() { w.CloseWithError(status(h.server.Backend.Send(ctx, d, w))) })
	return o
}

// ReadAt implements io.ReaderAt for readers that ask for everything in order, with several
// requests under way at once.
func (o *outgoing) ReadAt(p []byte, offset int64) (int, error) {
	if end := o.end.Load(); end > 0 && offset >= end-1 {
		return 0, io.EOF // a client that got less than it asked for asks again
	}
	if err := o.turn.wait(offset); err != nil {
		return 0, status(err)
	}
	n, err := io.ReadFull(o.pipe, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
		o.end.CompareAndSwap(0, offset+int64(n)+1)
	}
	o.turn.done(offset + int64(len(p)))
	return n, err
}

// Close ends a stream, whether or not it was read to its end.
func (o *outgoing) Close() error {
	o.stop()
	return nil
}
