// Package transfertest is what every transfer.Transport must pass.
package transfertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
	"github.com/drover/drover/volume/transfer"
)

// Run runs the suite. Connect makes a transport and a node whose volumes are those of target.
func Run(t *testing.T, connect func(t *testing.T, target volume.Backend) (transfer.Transport, cluster.Node)) {
	for _, test := range []struct {
		rule string
		run  func(*suite)
	}{
		{"a volume arrives, and then a difference", (*suite).ship},
		{"what the other side does not hold is not found", (*suite).notFound},
		{"an error of the receiver reaches the sender with its kind", (*suite).receiverFails},
		{"an error of the source ends the transfer", (*suite).sourceFails},
		{"a transfer ends with its context", (*suite).canceled},
		{"progress counts what was shipped", (*suite).progress},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s := &suite{t: t, id: cluster.VolumeID(cluster.NewUUID()), from: mem.New(), to: &faulty{Backend: mem.New()}}
			transport, node := connect(t, s.to)
			session, err := transport.Dial(t.Context(), node)
			s.must(err)
			s.session = session
			s.must(s.from.Create(t.Context(), s.id, volume.Options{}))
			_, err = s.from.Open(t.Context(), s.id, 1, "")
			s.must(err)
			test.run(s)
			s.must(session.Close())
		})
	}
}

type suite struct {
	t       *testing.T
	id      cluster.VolumeID
	from    *mem.Backend
	to      *faulty
	session transfer.Session
}

// faulty is a backend whose Receive can be made to fail or to hang.
type faulty struct {
	*mem.Backend
	receive func(ctx context.Context, r io.Reader) error
}

func (f *faulty) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	if f.receive != nil {
		return f.receive(ctx, r)
	}
	return f.Backend.Receive(ctx, d, r)
}

func (s *suite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// snapshot writes a file of that size and makes a snapshot.
func (s *suite) snapshot(name cluster.SnapshotName, size int) {
	s.t.Helper()
	s.must(s.from.Write(s.id, string(name), make([]byte, size)))
	_, err := s.from.Snapshot(s.t.Context(), s.id, name, false)
	s.must(err)
}

func (s *suite) send(from, to cluster.SnapshotName) (int64, error) {
	return s.session.Send(s.t.Context(), volume.Delta{Volume: s.id, From: from, To: to}, s.from, transfer.Options{})
}

func (s *suite) ship() {
	s.snapshot("s1", 3<<20)
	n, err := s.send("", "s1")
	s.must(err)
	if n < 3<<20 {
		s.t.Errorf("%d bytes shipped for a full copy of %d", n, 3<<20)
	}
	s.snapshot("s2", 100)
	n, err = s.send("s1", "s2")
	s.must(err)
	if n > 1<<20 {
		s.t.Errorf("%d bytes shipped for a difference of 100", n)
	}
	files, err := s.to.Read(s.id)
	s.must(err)
	if len(files["s1"]) != 3<<20 || len(files["s2"]) != 100 {
		s.t.Errorf("arrived: %d and %d bytes", len(files["s1"]), len(files["s2"]))
	}
	held, err := s.session.Copy(s.t.Context(), s.id)
	s.must(err)
	if held.Role != cluster.Replica || len(held.Snapshots) != 2 {
		s.t.Errorf("the other side says it holds %+v", held)
	}
}

func (s *suite) notFound() {
	_, err := s.session.Copy(s.t.Context(), s.id)
	if !errors.Is(err, cluster.ErrNotFound) {
		s.t.Errorf("got %v, want ErrNotFound", err)
	}
}

func (s *suite) receiverFails() {
	calls := 0
	s.to.receive = func(_ context.Context, r io.Reader) error {
		calls++
		if _, err := io.CopyN(io.Discard, r, 1000); err != nil {
			return err
		}
		return fmt.Errorf("%w: no space left", cluster.ErrRefused)
	}
	s.snapshot("s1", 5<<20)
	_, err := s.send("", "s1")
	if !errors.Is(err, cluster.ErrRefused) {
		s.t.Errorf("got %v, want ErrRefused", err)
	}
	if calls != 1 {
		s.t.Errorf("the receiver said no and was asked %d times", calls)
	}
}

var errSource = errors.New("the disk of the source is broken")

type brokenSource struct{}

func (brokenSource) Send(context.Context, volume.Delta, io.Writer) error { return errSource }

func (s *suite) sourceFails() {
	d := volume.Delta{Volume: s.id, To: "s1"}
	_, err := s.session.Send(s.t.Context(), d, brokenSource{}, transfer.Options{})
	if !errors.Is(err, errSource) {
		s.t.Errorf("got %v, want the error of the source", err)
	}
	if _, err := volume.Find(s.t.Context(), s.to, s.id); err == nil {
		s.t.Error("half a stream was taken for a volume")
	}
}

func (s *suite) canceled() {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.to.receive = func(inner context.Context, r io.Reader) error {
		cancel() // and now nothing more happens on this side
		<-inner.Done()
		return inner.Err()
	}
	s.snapshot("s1", 50<<20)
	_, err := s.session.Send(ctx, volume.Delta{Volume: s.id, To: "s1"}, s.from, transfer.Options{})
	if !errors.Is(err, context.Canceled) {
		s.t.Errorf("got %v, want context.Canceled", err)
	}
}

func (s *suite) progress() {
	s.snapshot("s1", 5<<20)
	var last int64
	n, err := s.session.Send(s.t.Context(), volume.Delta{Volume: s.id, To: "s1"}, s.from,
		transfer.Options{Progress: func(bytes int64) { last = bytes }})
	s.must(err)
	if last != n || n < 5<<20 {
		s.t.Errorf("progress ended at %d of %d", last, n)
	}
}
