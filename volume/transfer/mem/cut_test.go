package mem_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
	"github.com/drover/drover/volume/transfer"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// A sink is a backend that keeps the bytes of a stream, and how it ended.
type sink struct {
	*mem.Backend
	got   []byte
	ended error
}

func (s *sink) Receive(_ context.Context, _ volume.Delta, r io.Reader) error {
	s.got, s.ended = io.ReadAll(r)
	return s.ended
}

// pieces writes ten bytes at a time.
type pieces int

func (p pieces) Send(_ context.Context, _ volume.Delta, w io.Writer) error {
	for range int(p) {
		if _, err := w.Write(make([]byte, 10)); err != nil {
			return err
		}
	}
	return nil
}

// TestCutAtTheEdges: what was asked for goes through to the byte, and never passes for the whole.
func TestCutAtTheEdges(t *testing.T) {
	for _, row := range []struct {
		rule   string
		after  int64
		want   int64
		broken bool
	}{
		{"zero is no cut", 0, 100, false},
		{"less than zero is no cut", -1, 100, false},
		{"in the middle of a piece", 37, 37, true},
		{"between two pieces", 40, 40, true},
		{"at the first byte", 1, 1, true},
		{"at the end there is nothing more to cut", 100, 100, false},
		{"behind the end", 101, 100, false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			b := &sink{Backend: mem.New()}
			var asked volume.Delta
			transport := &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": b},
				Cut: func(d volume.Delta) int64 { asked = d; return row.after }}
			session, err := transport.Dial(t.Context(), cluster.Node{ID: "b"})
			if err != nil {
				t.Fatal(err)
			}
			n, err := session.Send(t.Context(), volume.Delta{Volume: "v", To: "s1"}, pieces(10), transfer.Options{})
			if row.broken != errors.Is(err, cluster.ErrUnavailable) || row.broken != (err != nil) {
				t.Errorf("the transfer ended with %v", err)
			}
			if n != row.want || int64(len(b.got)) != row.want {
				t.Errorf("%d bytes were shipped and %d arrived, want %d", n, len(b.got), row.want)
			}
			if row.broken && !errors.Is(b.ended, io.ErrUnexpectedEOF) {
				t.Errorf("the receiver saw %v: a cut must not pass for the end", b.ended)
			}
			if asked.To != "s1" {
				t.Errorf("asked for %s", asked)
			}
		})
	}
}
