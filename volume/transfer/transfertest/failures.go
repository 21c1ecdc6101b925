package transfertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/drover/drover/cluster"
)

func (s *suite) notFound() {
	_, err := s.session.Copy(s.t.Context(), s.id)
	if !errors.Is(err, cluster.ErrNotFound) {
		s.t.Errorf("got %v, want ErrNotFound", err)
	}
}

func (s *suite) noBase() {
	s.snapshot(s.id, "s1", 10)
	s.snapshot(s.id, "s2", 10)
	if _, err := s.send("s1", "s2"); !errors.Is(err, cluster.ErrStale) {
		s.t.Errorf("got %v, want ErrStale", err)
	}
}

func (s *suite) receiverFails() {
	for _, kind := range []error{cluster.ErrRefused, cluster.ErrConflict, cluster.ErrStale, cluster.ErrInvalid,
		cluster.ErrForbidden, cluster.ErrUnsupported, cluster.ErrNotFound, cluster.ErrExists} {
		calls := 0
		s.to.receives(func(_ context.Context, r io.Reader) error {
			calls++
			if _, err := io.CopyN(io.Discard, r, 1000); err != nil {
				return err
			}
			return fmt.Errorf("%w: no space left on device", kind)
		})
		_, err := s.stream(s.t.Context(), func(_ context.Context, w io.Writer) error {
			_, err := w.Write(make([]byte, 5<<20))
			return err
		})
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), "no space left on device") || strings.Contains(err.Error(), "\n") {
			s.t.Errorf("got %q, want %q with its text on one line", err, kind)
		}
		if calls != 1 {
			s.t.Errorf("the receiver said no and was asked %d times", calls)
		}
	}
}

func (s *suite) sourceFails() {
	s.to.receives(func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		if err == nil {
			s.t.Error("half a stream was taken for a whole one")
		}
		return err
	})
	for _, cause := range []error{errors.New("disk broken"), io.EOF, io.ErrUnexpectedEOF, fs.ErrNotExist, fs.ErrPermission, cluster.ErrUnavailable} {
		calls := 0
		_, err := s.stream(s.t.Context(), func(_ context.Context, w io.Writer) error {
			calls++
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
			return fmt.Errorf("read the source: %w", cause)
		})
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "read the source") {
			s.t.Errorf("got %v, want %v as the source said it", err, cause)
		}
		if calls != 1 {
			s.t.Errorf("a source that failed with %v was asked %d times", cause, calls)
		}
	}
}

func (s *suite) sourceFailsLast() {
	broken := errors.New("close of the source")
	s.to.receives(func(_ context.Context, r io.Reader) error {
		_, err := io.CopyN(io.Discard, r, 1000) // and wants no more
		return err
	})
	_, err := s.stream(s.t.Context(), func(_ context.Context, w io.Writer) error {
		if _, err := w.Write(make([]byte, 1000)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		s.t.Errorf("got %v, want the error of the source", err)
	}
}

func (s *suite) receiverHangs() {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	s.to.receives(func(inner context.Context, r io.Reader) error {
		defer close(ended)
		cancel() // and now nothing more is read
		<-inner.Done()
		return inner.Err()
	})
	_, err := s.stream(ctx, func(_ context.Context, w io.Writer) error {
		_, err := w.Write(make([]byte, 50<<20))
		return err
	})
	if !errors.Is(err, context.Canceled) {
		s.t.Errorf("got %v, want context.Canceled", err)
	}
	<-ended // the receiver is not left behind
}

func (s *suite) sourceHangs() {
	ctx, cancel := context.WithCancel(s.t.Context())
	_, err := s.stream(ctx, func(inner context.Context, w io.Writer) error {
		cancel()
		<-inner.Done()
		return inner.Err()
	})
	if !errors.Is(err, context.Canceled) {
		s.t.Errorf("got %v, want context.Canceled", err)
	}
}

func (s *suite) canceledBefore() {
	ctx, cancel := context.WithCancelCause(s.t.Context())
	cause := errors.New("the clients have waited long enough")
	cancel(cause)
	_, err := s.stream(ctx, func(ctx context.Context, w io.Writer) error {
		return ctx.Err()
	})
	if !errors.Is(err, cause) {
		s.t.Errorf("got %v, want the cause of the cancellation", err)
	}
	if _, err := s.session.Copy(s.t.Context(), s.id); !errors.Is(err, cluster.ErrNotFound) {
		s.t.Errorf("something arrived: %v", err)
	}
}
