package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/transfer"
	"github.com/drover/drover/volume/transfer/transfertest"
)

func TestConformance(t *testing.T) {
	transfertest.Run(t, func(t *testing.T, target volume.Backend) (transfer.Transport, cluster.Node) {
		n := serve(t, target)
		return n.transport, n.node
	})
}

// A server under test, and a transport that it accepts.
type node struct {
	server    *Server
	transport *Transport
	node      cluster.Node
	client    cluster.NodeID // who the transport is; empty: a user
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

func serve(t testing.TB, target volume.Backend) *node {
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
		Permit: func(cluster.NodeID, volume.Delta) error { return nil }}
	n.node = cluster.Node{ID: "b", Name: "b", TransferAddress: listener.Addr().String(), TransferKey: PublicKey(serverKey)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.server.Serve(ctx, listener) }()
	t.Cleanup(func() { cancel(); <-done })
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

func TestKeysAreMadeOnceAndPrivate(t *testing.T) {
	key, file := newKey(t)
	again, err := LoadOrCreateKey(file)
	if err != nil || PublicKey(again) != PublicKey(key) {
		t.Errorf("another key was made: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file is %v: %v", info, err)
	}
}

func TestWhoIsLetIn(t *testing.T) {
	target := openDir(t)
	t.Run("a server with another key is not talked to", func(t *testing.T) {
		n := serve(t, target)
		other, _ := newKey(t)
		n.node.TransferKey = PublicKey(other)
		_, err := n.transport.Dial(t.Context(), n.node)
		if err == nil || !strings.Contains(err.Error(), "host key changed") || cluster.Hint(err) == "" {
			t.Errorf("got %v with hint %q", err, cluster.Hint(err))
		}
	})
	t.Run("a client with an unknown key is refused", func(t *testing.T) {
		n := serve(t, target)
		n.transport.Key, _ = newKey(t)
		if _, err := n.transport.Dial(t.Context(), n.node); err == nil {
			t.Error("it was let in")
		}
	})
	t.Run("a node ships only what it may", func(t *testing.T) {
		n := serve(t, target)
		n.server.Permit = func(from cluster.NodeID, d volume.Delta) error {
			return fmt.Errorf("%w: no move from %s", cluster.ErrForbidden, from)
		}
		from, id := source(t, 100)
		err := send(t, n, from, volume.Delta{Volume: id, To: "s1"})
		if !errors.Is(err, cluster.ErrForbidden) || !strings.Contains(err.Error(), "no move from a") {
			t.Errorf("got %v, want ErrForbidden with its reason", err)
		}
	})
	t.Run("a user may look and not ship", func(t *testing.T) {
		n := serve(t, target)
		n.client = ""
		from, id := source(t, 100)
		if err := send(t, n, from, volume.Delta{Volume: id, To: "s1"}); !errors.Is(err, cluster.ErrForbidden) {
			t.Errorf("got %v, want ErrForbidden", err)
		}
	})
	t.Run("nobody gets a shell, a command or a port", func(t *testing.T) {
		n := serve(t, target)
		client, err := ssh.Dial("tcp", n.node.TransferAddress, &ssh.ClientConfig{User: "root", Config: algorithms(),
			Auth: []ssh.AuthMethod{ssh.PublicKeys(n.transport.Key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if session.Start("id") == nil {
			t.Error("a command was started")
		}
		if session.Shell() == nil {
			t.Error("a shell was started")
		}
		if _, err := client.Dial("tcp", n.node.TransferAddress); err == nil {
			t.Error("a port was forwarded")
		}
		if _, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
			t.Error("a port was opened")
		}
	})
}

func send(t *testing.T, n *node, from transfer.Source, d volume.Delta) error {
	t.Helper()
	session, err := n.transport.Dial(t.Context(), n.node)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	_, err = session.Send(t.Context(), d, from, transfer.Options{})
	return err
}

// TestGoesOnAfterCuts ships through a relay that breaks each of the first connections after some
// more bytes.
func TestGoesOnAfterCuts(t *testing.T) {
	const size = 24 << 20
	target := openDir(t)
	n := serve(t, target)
	var cuts, carried atomic.Int64
	n.node.TransferAddress = cutter(t, n.node.TransferAddress, func() int64 {
		if cuts.Add(1) > 5 {
			return 1 << 40
		}
		return 3<<20 + rand.Int64N(2<<20)
	}, &carried)
	from, id := source(t, size)
	if err := send(t, n, from, volume.Delta{Volume: id, To: "s1"}); err != nil {
		t.Fatal(err)
	}
	held, err := volume.Find(t.Context(), target, id)
	if err != nil || held.Partial != nil || len(held.Snapshots) != 1 {
		t.Fatalf("the target holds %+v: %v", held, err)
	}
	if cuts.Load() < 6 {
		t.Errorf("the connection was cut %d times only", cuts.Load()-1)
	}
	if n := carried.Load(); n > size*13/10 {
		t.Errorf("%d bytes were carried for %d: transfers start over", n, size)
	}
}

// cutter relays connections to an address, each for as many bytes as limit says.
func cutter(t *testing.T, address string, limit func() int64, carried *atomic.Int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				defer client.Close()
				defer server.Close()
				go io.Copy(client, server)
				n, _ := io.CopyN(server, client, limit())
				carried.Add(n)
			}()
		}
	}()
	return listener.Addr().String()
}

func TestAPeerThatHangsUpIsAskedAgainForAWhile(t *testing.T) {
	n := serve(t, openDir(t))
	n.node.TransferAddress = cutter(t, n.node.TransferAddress, func() int64 { return 2000 }, new(atomic.Int64))
	_, err := n.transport.Dial(t.Context(), n.node)
	if err == nil {
		t.Fatal("a connection of 2000 bytes was enough")
	}
}

func TestATrailerThatDoesNotFitIsNoticed(t *testing.T) {
	stream := newTrailed(strings.NewReader("content" + "12345678"))
	got, err := io.ReadAll(stream)
	if string(got) != "content" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	if err := stream.verify(); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
}

// TestStockClient lists and pulls a snapshot with OpenSSH's own sftp.
func TestStockClient(t *testing.T) {
	program, err := exec.LookPath("sftp")
	if err != nil {
		t.Skip("CANNOT RUN: OpenSSH's sftp is not installed")
	}
	from, id := source(t, 1<<20)
	n := serve(t, from)
	key, file := newKey(t)
	n.client = ""
	n.server.Peers = func(offered string) (cluster.NodeID, bool) { return "", offered == PublicKey(key) }
	host, port, _ := net.SplitHostPort(n.node.TransferAddress)
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, fmt.Appendf(nil, "[%s]:%s %s\n", host, port, n.node.TransferKey), 0o600); err != nil {
		t.Fatal(err)
	}
	pulled := filepath.Join(t.TempDir(), "stream")
	cmd := exec.Command(program, "-b", "-", "-P", port, "-i", file, "-o", "UserKnownHostsFile="+known, "-o", "IdentitiesOnly=yes", "drover@"+host)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("ls /volumes\nls -l /volumes/%s/snapshots\nget /volumes/%s/snapshots/s1 %s\n-put %s /volumes/%s/incoming/s2\n",
		id, id, pulled, file, id))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("sftp: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), string(id)) || !strings.Contains(string(out), "s1") {
		t.Errorf("the listing lacks the volume or the snapshot:\n%s", out)
	}
	stream, err := os.Open(pulled)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	to := openDir(t)
	if err := to.Receive(t.Context(), volume.Delta{Volume: id, To: "s1"}, stream); err != nil {
		t.Errorf("what was pulled is no stream: %v", err)
	}
}

func FuzzParsePath(f *testing.F) {
	id := cluster.VolumeID(cluster.NewUUID())
	f.Add(deltaPath(partIncoming, volume.Delta{Volume: id, From: "a", To: "b", Resume: []byte{1}}))
	f.Add(deltaPath(partSnapshots, volume.Delta{Volume: id, To: "b"}))
	f.Add("/volumes/../..//x")
	f.Fuzz(func(t *testing.T, name string) {
		got, err := parsePath(name)
		if err != nil || got.delta.To == "" {
			return
		}
		if got.resume {
			got.delta.Resume = []byte{1}
		}
		again, err := parsePath(deltaPath(got.part, got.delta))
		if err != nil || again.volume != got.volume || again.part != got.part || again.delta.String() != got.delta.String() || again.resume != got.resume {
			t.Errorf("%q is %+v, and written again %+v: %v", name, got, again, err)
		}
	})
}

// BenchmarkSend measures bytes over loopback, from memory to nowhere.
func BenchmarkSend(b *testing.B) {
	n := serve(b, discard{})
	session, err := n.transport.Dial(b.Context(), n.node)
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	const size = 256 << 20
	b.SetBytes(size)
	for b.Loop() {
		d := volume.Delta{Volume: cluster.VolumeID(cluster.NewUUID()), To: "s"}
		if _, err := session.Send(b.Context(), d, zeros(size), transfer.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

type zeros int

func (z zeros) Send(_ context.Context, _ volume.Delta, w io.Writer) error {
	block := make([]byte, 256<<10)
	for n := 0; n < int(z); n += len(block) {
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}

type discard struct{ volume.Backend }

func (discard) Receive(_ context.Context, _ volume.Delta, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
