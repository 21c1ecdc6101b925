package transfertest

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/drover/drover/volume/transfer"
)

const imageName = "registry.example:5000/team/app:1.0"

func (s *suite) hasImage(want bool) {
	s.t.Helper()
	has, err := s.session.HasImage(s.t.Context(), imageName)
	s.must(err)
	if has != want {
		s.t.Errorf("the node has the image: %t, want %t", has, want)
	}
}

func (s *suite) image() {
	s.hasImage(false)
	content := bytes.Repeat([]byte("layer"), 1<<20)
	var last int64
	n, err := s.session.SendImage(s.t.Context(), imageName, func(_ context.Context, w io.Writer) error {
		_, err := w.Write(content)
		return err
	}, transfer.Options{Progress: func(bytes int64) { last = bytes }})
	s.must(err)
	if n != int64(len(content)) || last != n {
		s.t.Errorf("%d bytes were shipped and %d reported, want %d", n, last, len(content))
	}
	s.hasImage(true)
}

func (s *suite) brokenImage() {
	broken := errors.New("disk broken")
	_, err := s.session.SendImage(s.t.Context(), imageName, func(_ context.Context, w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		return broken
	}, transfer.Options{})
	if !errors.Is(err, broken) {
		s.t.Errorf("got %v, want the error of the source", err)
	}
	s.hasImage(false)
}
