package api

import (
	"context"
	"io"
	"net/http"
	"time"
)

// piece is how much of a body or an answer must pass within a client's patience. What counts is that it
// goes on, not how much there is.
const piece = 64 << 10

// deadlines end a call whose client does not send, or read, any more.
type deadlines struct {
	control  *http.ResponseController
	patience time.Duration
}

// Where there are no deadlines, in a test without a network, there is nobody to wait for either.

func (d deadlines) read()  { _ = d.control.SetReadDeadline(time.Now().Add(d.patience)) }
func (d deadlines) write() { _ = d.control.SetWriteDeadline(time.Now().Add(d.patience)) }

// readAtLeisure takes the deadline away. The server reads on to notice when the client leaves, and
// an old deadline would look like that.
func (d deadlines) readAtLeisure() { _ = d.control.SetReadDeadline(time.Time{}) }

// A timedBody is the body of a request that must come in in time. While it is waited for, its call is not
// worked on.
type timedBody struct {
	io.ReadCloser
	deadlines
	ctx    context.Context // of the request
	turn   *admission
	passed int // since the deadline was set
}

func (b *timedBody) Read(p []byte) (int, error) {
	b.turn.rest()
	n, err := b.ReadCloser.Read(p)
	if late := b.turn.work(b.ctx); late != nil {
		return n, late
	}
	b.passed += n
	switch {
	case err == io.EOF:
		b.readAtLeisure()
	case b.passed >= piece:
		b.passed = 0
		b.read()
	}
	return n, err
}

// A timedWriter writes an answer that must be read in time.
type timedWriter struct {
	io.Writer
	deadlines
}

func (w timedWriter) Write(p []byte) (n int, err error) {
	for more := true; more && err == nil; more = n < len(p) {
		w.write()
		var m int
		m, err = w.Writer.Write(p[n:min(n+piece, len(p))])
		n += m
	}
	return n, err
}
