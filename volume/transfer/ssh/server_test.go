package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

func TestWhoIsLetIn(t *testing.T) {
	from, id := memSource(t, 100)
	d := volume.Delta{Volume: id, To: "s1"}
	t.Run("a server with another key is not talked to", func(t *testing.T) {
		n := serve(t, openDir(t))
		other, _ := newKey(t)
		n.node.TransferKey = PublicKey(other)
		_, err := n.transport.Dial(t.Context(), n.node)
		if want := "ssh: handshake with " + n.node.TransferAddress + ": host key changed"; err == nil || err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		if !errors.Is(err, cluster.ErrForbidden) || !strings.Contains(cluster.Hint(err), "drover node ls -o json") {
			t.Errorf("%v has the hint %q", err, cluster.Hint(err))
		}
	})
	t.Run("a record without a key is of no use", func(t *testing.T) {
		n := serve(t, openDir(t))
		n.node.TransferKey = ""
		if _, err := n.transport.Dial(t.Context(), n.node); !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("got %v, want ErrInvalid", err)
		}
	})
	t.Run("a client with an unknown key is refused", func(t *testing.T) {
		n := serve(t, openDir(t))
		n.transport.Key, _ = newKey(t)
		_, err := n.transport.Dial(t.Context(), n.node)
		if !errors.Is(err, cluster.ErrForbidden) || cluster.Hint(err) == "" {
			t.Errorf("got %v, want ErrForbidden with a hint", err)
		}
	})
	t.Run("a node ships only what it may", func(t *testing.T) {
		n := serve(t, openDir(t))
		n.server.Permit = func(from cluster.NodeID, d volume.Delta) (volume.Delta, error) {
			return d, fmt.Errorf("%w: no move of %s from %s", cluster.ErrForbidden, d, from)
		}
		err := send(t, n, from, d)
		if !errors.Is(err, cluster.ErrForbidden) || !strings.Contains(err.Error(), "no move of "+d.String()+" from a") {
			t.Errorf("got %v, want ErrForbidden with its reason", err)
		}
	})
	t.Run("a user may look and not ship", func(t *testing.T) {
		n := serve(t, openDir(t))
		n.client = ""
		if err := send(t, n, from, d); !errors.Is(err, cluster.ErrForbidden) {
			t.Errorf("got %v, want ErrForbidden", err)
		}
	})
	t.Run("a node may ship and not read", func(t *testing.T) {
		n := serve(t, from)
		c, err := n.transport.connect(t.Context(), n.node)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		_, err = c.sftp.Open("/volumes/" + string(id) + "/snapshots/s1")
		if !errors.Is(answered(err), cluster.ErrForbidden) {
			t.Errorf("got %v, want ErrForbidden", err)
		}
	})
	t.Run("nobody else sends an image", func(t *testing.T) {
		for _, who := range []cluster.NodeID{"c", ""} {
			n := serve(t, openDir(t))
			n.client = who
			session := dial(t, n)
			if _, err := session.HasImage(t.Context(), "app:1"); !errors.Is(err, cluster.ErrForbidden) {
				t.Errorf("%q asks: got %v, want ErrForbidden", who, err)
			}
			_, err := session.SendImage(t.Context(), "app:1", func(_ context.Context, w io.Writer) error {
				_, err := w.Write([]byte("image"))
				return err
			}, transfer.Options{})
			if !errors.Is(err, cluster.ErrForbidden) {
				t.Errorf("%q sends: got %v, want ErrForbidden", who, err)
			}
		}
	})
	t.Run("no passwords, no other algorithms", func(t *testing.T) {
		n := serve(t, openDir(t))
		config := algorithms()
		if _, err := plainClient(n, config, ssh.Password("drover")); err == nil {
			t.Error("a password was accepted")
		}
		config.Ciphers = []string{ssh.CipherChaCha20Poly1305}
		if _, err := plainClient(n, config, ssh.PublicKeys(n.transport.Key)); err == nil {
			t.Error("a cipher that is not pinned was accepted")
		}
	})
}

// plainClient connects without SFTP.
func plainClient(n *node, config ssh.Config, auth ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", n.node.TransferAddress, &ssh.ClientConfig{User: "root", Config: config,
		Auth: []ssh.AuthMethod{auth}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
}

func TestNobodyGetsAShellACommandOrAPort(t *testing.T) {
	n := serve(t, openDir(t))
	client, err := plainClient(n, algorithms(), ssh.PublicKeys(n.transport.Key))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	for what, refused := range map[string]error{
		"a command":         session.Start("id"),
		"a shell":           session.Shell(),
		"another subsystem": session.RequestSubsystem("netconf"),
		"a terminal":        session.RequestPty("xterm", 1, 1, nil),
		"a variable":        session.Setenv("LD_PRELOAD", "x"),
	} {
		if refused == nil {
			t.Errorf("%s was given", what)
		}
	}
	if _, err := client.Dial("tcp", n.node.TransferAddress); err == nil {
		t.Error("a port was forwarded")
	}
	if _, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("a port was opened")
	}
}

func TestLimits(t *testing.T) {
	n := serve(t, openDir(t), func(s *Server) { s.Limits = Limits{Connections: 2, Sessions: 1} })
	dial(t, n)
	client, err := plainClient(n, algorithms(), ssh.PublicKeys(n.transport.Key))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.NewSession(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.NewSession(); err == nil {
		t.Error("a session more than the limit was opened")
	}
	if _, err := n.transport.Dial(t.Context(), n.node); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a connection more than the limit: got %v, want ErrUnavailable", err)
	}
	client.Close()
	eventually(t, "there is room again", func() bool {
		session, err := n.transport.Dial(t.Context(), n.node)
		if err == nil {
			session.Close()
		}
		return err == nil
	})
}

// TestTwoTransfersOfOneVolume: the second one is refused while the first one is alive.
func TestTwoTransfersOfOneVolume(t *testing.T) {
	started, finish := make(chan struct{}, 1), make(chan struct{})
	n := serve(t, stub{receive: func(ctx context.Context, d volume.Delta, r io.Reader) error {
		started <- struct{}{}
		<-finish
		return discard(ctx, d, r)
	}})
	d := newDelta()
	first := make(chan error, 1)
	session := dial(t, n)
	go func() {
		_, err := session.Send(t.Context(), d, zeros(1<<20), transfer.Options{})
		first <- err
	}()
	<-started
	if err := send(t, n, zeros(1), d); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("by the same node: got %v, want ErrConflict", err)
	}
	n.client = "c"
	if err := send(t, n, zeros(1), d); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("by another node: got %v, want ErrConflict", err)
	}
	close(finish)
	if err := <-first; err != nil {
		t.Errorf("the first transfer was disturbed: %v", err)
	}
	if err := send(t, n, zeros(1), d); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// TestAServerThatEndsLeavesNothingBehind ends it in the middle of a transfer and counts.
func TestAServerThatEndsLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	started := make(chan struct{}, 1)
	n := serve(t, stub{receive: func(_ context.Context, _ volume.Delta, r io.Reader) error {
		started <- struct{}{}
		_, err := io.Copy(io.Discard, r)
		if err == nil {
			t.Error("a stream that was cut looked like a whole one")
		}
		return err
	}})
	session := dial(t, n)
	n.transport.pause = time.Millisecond
	result := make(chan error, 1)
	go func() {
		_, err := session.Send(t.Context(), newDelta(), endless{}, transfer.Options{})
		result <- err
	}()
	<-started
	n.stop()
	if err := <-result; !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "every goroutine ends", func() bool { return runtime.NumGoroutine() <= before })
}

type endless struct{}

func (endless) Send(_ context.Context, _ volume.Delta, w io.Writer) error {
	for {
		if _, err := w.Write(make([]byte, 100_000)); err != nil {
			return err
		}
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	n := serve(t, openDir(t))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := n.server.Serve(t.Context(), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

// TestWhatWasWrittenMustHaveItsHash writes by SFTP what no transport would.
func TestWhatWasWrittenMustHaveItsHash(t *testing.T) {
	n := serve(t, stub{receive: discard})
	c, err := n.transport.connect(t.Context(), n.node)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	write := func(content []byte) error {
		f, err := c.sftp.OpenFile(deltaPath(partIncoming, newDelta()), os.O_WRONLY|os.O_CREATE)
		if err != nil {
			return err
		}
		if _, err := f.Write(content); err != nil {
			return err
		}
		return answered(f.Close())
	}
	if err := write(withTrailer([]byte("content"))); err != nil {
		t.Errorf("with its hash: %v", err)
	}
	if err := write([]byte("content without a hash")); !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "hash") {
		t.Errorf("without: got %v, want ErrConflict", err)
	}
}
