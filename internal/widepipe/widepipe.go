// Package widepipe joins streams of data to programs and to the kernel, by pipes as wide as they get.
//
//	err := widepipe.Program(ctx, stream, func(stdin *os.File) error { return run(stdin) })
//	n, err := widepipe.Copy(connection, stdout)
//
//	stream --> pipe of 1 MiB --> program         Program
//	program --> pipe of 1 MiB --> packets        Pipe, Copy
//
// It knows which side failed: a stream that was cut is told from a program that said no. It does
// not start programs.
package widepipe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// pipeSize is the kernel's most for everybody. With its default both sides would spend their
	// time on waking each other up.
	pipeSize = 1 << 20
	// chunk is how much is written at once: a packet of a transport, whatever comes in.
	chunk = 255 << 10
)

// Pipe returns a wide pipe. The caller closes both ends.
func Pipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	// Refused where a user has many; then it is as wide as it is.
	_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize)
	return r, w, nil
}

// Copy copies what comes out of a pipe to w, in large pieces.
func Copy(w io.Writer, pipe io.Reader) (int64, error) {
	buffered := bufio.NewWriterSize(w, chunk)
	n, err := io.Copy(buffered, onlyReader{pipe})
	return n, errors.Join(err, buffered.Flush())
}

// Program gives a stream to a program that run runs to its end. It returns when the program has
// ended and the stream has come to its own end: what a program leaves unread is read for it.
func Program(ctx context.Context, stream io.Reader, run func(stdin *os.File) error) error {
	out, w, err := Pipe()
	if err != nil {
		return err
	}
	in := &source{r: stream}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		// An error of the program's side is the program's to tell.
		_, _ = io.Copy(w, in)
		w.Close()
	}()
	err = run(out)
	out.Close() // whatever is still being written is for nobody
	select {
	case <-fed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if in.err != nil && !errors.Is(in.err, io.EOF) {
		return in.err // a stream that was cut is why the program ended as it did
	}
	if err != nil {
		return err
	}
	// Programs stop at their own end mark; the transfer's own check comes behind it.
	_, err = io.Copy(io.Discard, in)
	return err
}

// onlyReader hides that of a file which would keep a buffered writer from reading into its buffer.
type onlyReader struct{ io.Reader }

// A source remembers how a stream ended.
type source struct {
	r   io.Reader
	err error
}

// WriteTo implements io.WriterTo, where the stream does: it has its data in larger pieces.
func (s *source) WriteTo(w io.Writer) (int64, error) {
	from, ok := s.r.(io.WriterTo)
	if !ok {
		return io.Copy(w, onlyReader{s})
	}
	watched := &failingWriter{w: w}
	n, err := from.WriteTo(watched)
	switch {
	case err == nil:
		s.err = io.EOF
	case watched.err == nil:
		s.err = err
	}
	return n, err
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// A failingWriter remembers that it was the writer that failed.
type failingWriter struct {
	w   io.Writer
	err error
}

func (f *failingWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		f.err = err
	}
	return n, err
}
