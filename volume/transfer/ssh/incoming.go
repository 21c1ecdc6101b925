package ssh

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A turn lets packets be handled in the order of their offsets. The SFTP server hands them, in
// the order in which they came, to a few workers that run at the same time.
type turn struct {
	mu   sync.Mutex
	cond *sync.Cond
	next int64
	ctx  context.Context
}

func newTurn(ctx context.Context) *turn {
	t := &turn{ctx: ctx}
	t.cond = sync.NewCond(&t.mu)
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.cond.Broadcast()
	})
	return t
}

// wait returns when all before offset is done; then only the caller may work, until done. An
// offset that has been passed already is an error: streams cannot be seeked in.
func (t *turn) wait(offset int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.next < offset && t.ctx.Err() == nil {
		t.cond.Wait()
	}
	switch {
	case t.ctx.Err() != nil:
		return context.Cause(t.ctx)
	case t.next > offset:
		return fmt.Errorf("%w: offset %d: a stream goes forward only", cluster.ErrUnsupported, offset)
	}
	return nil
}

func (t *turn) done(next int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = next
	t.cond.Broadcast()
}

// incoming feeds what is written to a file into the backend.
func (h *handlers) incoming(d volume.Delta) io.WriterAt {
	r, w := io.Pipe()
	i := &incoming{turn: newTurn(h.ctx), pipe: w, done: make(chan struct{})}
	// A worker that waits for the backend to read must not outlive the client.
	context.AfterFunc(h.ctx, func() { w.CloseWithError(io.ErrUnexpectedEOF) })
	h.streams.Go(func() {
		defer close(i.done)
		stream := newTrailed(r)
		err := h.server.Backend.Receive(h.ctx, d, stream)
		if err == nil {
			err = stream.verify()
		}
		if err != nil {
			i.err = fmt.Errorf("%s: %w", d, err)
		}
		r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	})
	return i
}

type incoming struct {
	*turn
	pipe *io.PipeWriter
	done chan struct{} // closed when the backend has finished
	err  error         // why it did not work; set before done is closed
}

// WriteAt implements io.WriterAt.
func (i *incoming) WriteAt(p []byte, offset int64) (int, error) {
	if err := i.wait(offset); err != nil {
		return 0, status(err)
	}
	n, err := i.pipe.Write(p)
	i.turn.done(offset + int64(len(p)))
	if err != nil {
		return n, status(err)
	}
	return n, nil
}

// TransferError is called when the client went away before it closed the file.
func (i *incoming) TransferError(error) { i.pipe.CloseWithError(io.ErrUnexpectedEOF) }

// Close answers the client's close: everything is on stable storage, or why not.
func (i *incoming) Close() error {
	i.pipe.Close()
	<-i.done
	return status(i.err)
}

// trailerSize is the length of the hash at the end of what is written.
const trailerSize = 8

// A trailed reads a stream whose last bytes are its hash: they are held back.
type trailed struct {
	r    *bufio.Reader
	hash *xxhash.Digest
}

func newTrailed(r io.Reader) *trailed {
	return &trailed{r: bufio.NewReaderSize(r, 2*maxPacket), hash: xxhash.New()}
}

// Read returns the stream without its trailer.
func (t *trailed) Read(p []byte) (int, error) {
	if _, err := t.r.Peek(trailerSize + 1); err != nil {
		return 0, err
	}
	n, err := t.r.Read(p[:min(len(p), t.r.Buffered()-trailerSize)])
	t.hash.Write(p[:n])
	return n, err
}

// verify reads what is left and compares the hashes.
func (t *trailed) verify() error {
	if _, err := io.Copy(io.Discard, t); err != nil {
		return err
	}
	trailer, _ := t.r.Peek(trailerSize)
	if len(trailer) != trailerSize || binary.BigEndian.Uint64(trailer) != t.hash.Sum64() {
		return fmt.Errorf("%w: the stream does not have the hash that was sent", cluster.ErrConflict)
	}
	return nil
}
