package ssh

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/mem"
	"github.com/drover/drover/volume/transfer"
	"github.com/drover/drover/volume/transfer/transfertest"
)

func TestConformance(t *testing.T) {
	transfertest.Run(t, func(t *testing.T, target volume.Backend) (transfer.Transport, cluster.Node) {
		n := serve(t, target, func(s *Server) { s.taking = 100 * time.Millisecond })
		return n.transport, n.node
	})
}

// A server under test, and a transport that it accepts.
type node struct {
	server    *Server
	transport *Transport
	node      cluster.Node
	client    cluster.NodeID // who the transport is; empty: a user
	stop      func()         // ends the server, and waits for it
}

func newKey(t testing.TB) (Key, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	key, err := LoadOrCreateKey(file)
	if err != nil {
		t.Fatal(err)
	}
	return key, file
}

// serve runs a server for a backend until the test ends.
func serve(t testing.TB, target volume.Backend, set ...func(*Server)) *node {
	t.Helper()
	serverKey, _ := newKey(t)
	clientKey, _ := newKey(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{client: "a", transport: &Transport{Key: clientKey}}
	n.server = &Server{Key: serverKey, Backend: target, Log: slog.New(slog.DiscardHandler),
		Peers:  func(key string) (cluster.NodeID, bool) { return n.client, key == PublicKey(clientKey) },
		Permit: func(_ cluster.NodeID, d volume.Delta) (volume.Delta, error) { return d, nil },
		Images: &imageShelf{n: n, held: map[string]int{}}}
	for _, set := range set {
		set(n.server)
	}
	n.node = cluster.Node{ID: "b", Name: "b", TransferAddress: listener.Addr().String(), TransferKey: PublicKey(serverKey)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.server.Serve(ctx, listener) }()
	n.stop = func() { cancel(); <-done }
	t.Cleanup(n.stop)
	return n
}

func openDir(t testing.TB) *dir.Backend {
	t.Helper()
	b, err := dir.Open(t.TempDir(), dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Shut() })
	return b
}

// source makes a volume with that many random bytes and a snapshot "s1" of it.
func source(t testing.TB, size int) (*dir.Backend, cluster.VolumeID) {
	t.Helper()
	b, id := openDir(t), cluster.VolumeID(cluster.NewUUID())
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(content)
	err := b.Create(t.Context(), id, volume.Options{})
	if err == nil {
		var path string
		if path, err = b.Open(t.Context(), id, 1, ""); err == nil {
			err = os.WriteFile(filepath.Join(path, "file"), content, 0o600)
		}
	}
	if err == nil {
		_, err = b.Snapshot(t.Context(), id, "s1", false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b, id
}

// addFile writes another file of random bytes, and makes the snapshot "s2".
func addFile(t testing.TB, b *dir.Backend, id cluster.VolumeID, size int) {
	t.Helper()
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{2}).Read(content)
	if err := os.WriteFile(filepath.Join(b.Path(id), "another"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Snapshot(t.Context(), id, "s2", false); err != nil {
		t.Fatal(err)
	}
}

// memSource makes a volume in memory with a file of that many bytes and a snapshot "s1" of it.
func memSource(t testing.TB, size int) (*mem.Backend, cluster.VolumeID) {
	t.Helper()
	b, id := mem.New(), cluster.VolumeID(cluster.NewUUID())
	err := b.Create(t.Context(), id, volume.Options{})
	if err == nil {
		_, err = b.Open(t.Context(), id, 1, "")
	}
	if err == nil {
		err = b.Write(id, "file", make([]byte, size))
	}
	if err == nil {
		_, err = b.Snapshot(t.Context(), id, "s1", false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b, id
}

// send ships by a session of its own.
func send(t testing.TB, n *node, from transfer.Source, d volume.Delta) error {
	t.Helper()
	session, err := n.transport.Dial(t.Context(), n.node)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	_, err = session.Send(t.Context(), d, from, transfer.Options{})
	return err
}

func dial(t testing.TB, n *node) transfer.Session {
	t.Helper()
	session, err := n.transport.Dial(t.Context(), n.node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// A stub is a backend that receives as a test says, and holds nothing.
type stub struct {
	volume.Backend
	receive func(ctx context.Context, d volume.Delta, r io.Reader) error
}

func (s stub) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	return s.receive(ctx, d, r)
}

func (stub) Copies(context.Context) ([]volume.Copy, error) { return nil, nil }

// zeros is a source of that many bytes.
type zeros int

func (z zeros) Send(_ context.Context, _ volume.Delta, w io.Writer) error {
	block := make([]byte, 256<<10)
	for left := int(z); left > 0; left -= len(block) {
		if _, err := w.Write(block[:min(left, len(block))]); err != nil {
			return err
		}
	}
	return nil
}

func discard(_ context.Context, _ volume.Delta, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func newDelta() volume.Delta {
	return volume.Delta{Volume: cluster.VolumeID(cluster.NewUUID()), To: "s1"}
}

// eventually polls what another goroutine or process is about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within 30 s: %s", what)
}

// An imageShelf keeps the sizes of images, for the node of the test alone.
type imageShelf struct {
	n    *node
	mu   sync.Mutex
	held map[string]int
}

func (i *imageShelf) HasImage(_ context.Context, from cluster.NodeID, name string) (bool, error) {
	if from != "a" {
		return false, fmt.Errorf("%w: no move brings image %s", cluster.ErrForbidden, name)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	_, has := i.held[name]
	return has, nil
}

func (i *imageShelf) LoadImage(_ context.Context, _ cluster.NodeID, name string, stream io.Reader) error {
	b, err := io.ReadAll(stream)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.held[name] = len(b)
	return nil
}
