package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/drover/drover/cluster"
)

// An outgoing is a file that is being read from its start to its end: the backend makes it.
type outgoing struct {
	*sequencer
	pipe  *io.PipeReader
	begin func() // starts to make it, once
	stop  context.CancelFunc
	// end is one more than the length of the stream, once that is known.
	end atomic.Int64
}

// outgoing makes a file out of what a function writes. It is called when somebody reads: a file that is
// only opened costs nothing.
func (h *handlers) outgoing(make func(context.Context, io.Writer) error) *outgoing {
	ctx, cancel := context.WithCancel(h.ctx)
	r, w := io.Pipe()
	o := &outgoing{sequencer: newSequencer(), pipe: r, stop: cancel}
	context.AfterFunc(ctx, func() {
		o.sequencer.end(io.ErrClosedPipe)
		r.CloseWithError(io.ErrClosedPipe)
	})
	o.begin = sync.OnceFunc(func() {
		// Without its kind: an io.EOF in it would pass for the end of the stream.
		h.streams.Go(func() { w.CloseWithError(status(make(ctx, w))) })
	})
	return o
}

// ReadAt implements io.ReaderAt for readers that ask for everything in order, with several
// requests under way at once.
func (o *outgoing) ReadAt(p []byte, offset int64) (int, error) {
	if o.past(offset) {
		return 0, io.EOF // a client that got less than it asked for asks again
	}
	if err := o.sequencer.wait(offset); err != nil {
		if o.past(offset) {
			return 0, io.EOF
		}
		return 0, status(err)
	}
	o.begin()
	n, err := io.ReadFull(o.pipe, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
		// Whoever has asked for what is behind the end waits for nobody.
		o.end.CompareAndSwap(0, offset+int64(n)+1)
		o.sequencer.end(fmt.Errorf("%w: a stream goes forward only", cluster.ErrUnsupported))
	}
	o.sequencer.done(offset + int64(len(p)))
	return n, err
}

// past reports whether the stream is known to have ended before that offset.
func (o *outgoing) past(offset int64) bool {
	end := o.end.Load()
	return end > 0 && offset >= end-1
}

// Close ends a stream, whether or not it was read to its end.
func (o *outgoing) Close() error {
	o.stop()
	return nil
}
