package transfertest

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// told is a source that writes nothing, and remembers what it was told has arrived.
type told struct {
	delta   volume.Delta
	arrived string
	err     error
}

// Send implements transfer.Source.
func (s *told) Send(_ context.Context, d volume.Delta, w io.Writer) error {
	s.delta = d
	if d.Arrived != "" {
		var b []byte
		b, s.err = os.ReadFile(d.Arrived)
		s.arrived = string(b)
	}
	_, err := w.Write([]byte("the rest"))
	return err
}

// goOn ships s2, of which a part has arrived, and returns what the source was told.
func (s *suite) goOn(listed bool, listing string) *told {
	s.t.Helper()
	s.snapshot(s.id, "s1", 100)
	_, err := s.send("", "s1")
	s.must(err)
	s.t.Setenv("TMPDIR", s.t.TempDir())
	s.to.holds(&volume.Partial{From: "s1", To: "s2", Token: []byte("token"), Listed: listed}, listing)
	defer s.to.holds(nil, "")
	s.to.receives(func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	source := new(told)
	_, err = s.session.Send(s.t.Context(), volume.Delta{Volume: s.id, From: "s1", To: "s2", Resume: []byte("token")}, source, transfer.Options{})
	s.must(err)
	s.must(source.err)
	if string(source.delta.Resume) != "token" || source.delta.From != "s1" || source.delta.To != cluster.SnapshotName("s2") {
		s.t.Errorf("the source was asked for %+v", source.delta)
	}
	left, err := os.ReadDir(os.TempDir())
	s.must(err)
	if len(left) > 0 {
		s.t.Errorf("%s is left behind", left[0].Name())
	}
	return source
}

func (s *suite) goesOn() {
	for _, listing := range []string{"", "listing", strings.Repeat("a long listing ", 500_000)} {
		if got := s.goOn(true, listing).arrived; got != listing {
			s.t.Errorf("the source was told %d bytes, want %d", len(got), len(listing))
		}
	}
}

func (s *suite) goesOnUnlisted() {
	if got := s.goOn(false, "listing").delta.Arrived; got != "" {
		s.t.Errorf("the source was told %q", got)
	}
}
