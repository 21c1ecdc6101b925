// Package transfertest is what every transfer.Transport must pass.
//
//	func TestConformance(t *testing.T) {
//		transfertest.Run(t, func(t *testing.T, target volume.Backend) (transfer.Transport, cluster.Node) { ... })
//	}
//
// It tests the contract between two backends in memory. What a transport does when its connection
// breaks is tested where there is a connection to break.
package transfertest

import (
	"context"
	"io"
	"strings"
	"sync"
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
		{"what arrives is what was sent, byte by byte", (*suite).everyByte},
		{"two volumes go at the same time", (*suite).together},
		{"what the other side does not hold is not found", (*suite).notFound},
		{"a difference to what the other side does not hold is stale", (*suite).noBase},
		{"an error of the receiver reaches the sender with its kind and text", (*suite).receiverFails},
		{"an error of the source ends the transfer, whatever it wraps", (*suite).sourceFails},
		{"a source that fails at its very end has failed", (*suite).sourceFailsLast},
		{"a transfer ends with its context when the receiver hangs", (*suite).receiverHangs},
		{"a transfer ends with its context when the source hangs", (*suite).sourceHangs},
		{"a context that has ended ships nothing", (*suite).canceledBefore},
		{"what goes on is told what has arrived, for as long as it is sent", (*suite).goesOn},
		{"what takes no listing to go on is told none", (*suite).goesOnUnlisted},
		{"an image arrives", (*suite).image},
		{"an image of which a part was sent does not arrive", (*suite).brokenImage},
		{"progress counts what was shipped", (*suite).progress},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s := &suite{t: t, from: mem.New(), to: &faulty{Backend: mem.New()}}
			transport, node := connect(t, s.to)
			session, err := transport.Dial(t.Context(), node)
			s.must(err)
			s.session = session
			s.id = s.create()
			test.run(s)
			s.worksStill()
			s.must(session.Close())
		})
	}
}

// A suite is one test: a session from one backend to another one, and an open volume here.
type suite struct {
	t       *testing.T
	id      cluster.VolumeID
	from    *mem.Backend
	to      *faulty
	session transfer.Session
}

// faulty is a backend whose Receive can be made to do something else.
type faulty struct {
	*mem.Backend

	mu      sync.Mutex
	receive receiver // nil: as mem does
	partial *volume.Partial
	listing string
}

// holds makes the backend say that a part of a transfer has arrived in each of its copies.
func (f *faulty) holds(p *volume.Partial, listing string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.partial, f.listing = p, listing
}

// Copies implements volume.Backend.
func (f *faulty) Copies(ctx context.Context) ([]volume.Copy, error) {
	all, err := f.Backend.Copies(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range all {
		if f.partial != nil {
			all[i].Partial = f.partial
		}
	}
	return all, err
}

// Listing implements volume.Lister.
func (f *faulty) Listing(context.Context, cluster.VolumeID) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return io.NopCloser(strings.NewReader(f.listing)), nil
}

type receiver func(ctx context.Context, r io.Reader) error

// receives makes the backend receive in another way.
func (f *faulty) receives(receive receiver) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.receive = receive
}

// Receive implements volume.Backend.
func (f *faulty) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	f.mu.Lock()
	receive := f.receive
	f.mu.Unlock()
	if receive != nil {
		return receive(ctx, r)
	}
	return f.Backend.Receive(ctx, d, r)
}

// A source writes what its function writes.
type source func(ctx context.Context, w io.Writer) error

// Send implements transfer.Source.
func (s source) Send(ctx context.Context, _ volume.Delta, w io.Writer) error { return s(ctx, w) }

func (s *suite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) create() cluster.VolumeID {
	s.t.Helper()
	id := cluster.VolumeID(cluster.NewUUID())
	s.must(s.from.Create(s.t.Context(), id, volume.Options{}))
	_, err := s.from.Open(s.t.Context(), id, 1, "")
	s.must(err)
	return id
}

// snapshot writes a file of that size and makes a snapshot of the same name.
func (s *suite) snapshot(id cluster.VolumeID, name cluster.SnapshotName, size int) {
	s.t.Helper()
	s.must(s.from.Write(id, string(name), make([]byte, size)))
	_, err := s.from.Snapshot(s.t.Context(), id, name, false)
	s.must(err)
}

// send ships a snapshot of the volume, or the difference to another one.
func (s *suite) send(from, to cluster.SnapshotName) (int64, error) {
	return s.session.Send(s.t.Context(), volume.Delta{Volume: s.id, From: from, To: to}, s.from, transfer.Options{})
}

// stream ships what a source makes.
func (s *suite) stream(ctx context.Context, from source) (int64, error) {
	return s.session.Send(ctx, volume.Delta{Volume: s.id, To: "s"}, from, transfer.Options{})
}

// worksStill ships another volume: no failure may spoil the session.
func (s *suite) worksStill() {
	s.t.Helper()
	s.to.receives(nil)
	s.id = s.create()
	s.snapshot(s.id, "after", 1000)
	if _, err := s.send("", "after"); err != nil {
		s.t.Errorf("the session is spoilt: %v", err)
	}
}
