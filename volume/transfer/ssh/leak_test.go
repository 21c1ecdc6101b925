package ssh

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// TestNothingIsLeftBehind counts the goroutines of both sides while the server goes on.
func TestNothingIsLeftBehind(t *testing.T) {
	for _, row := range []struct {
		rule string
		fate func(connection int) fate
	}{
		{"by a session that is closed", unharmed},
		{"by a connection that was cut", func(connection int) fate {
			if connection == 1 {
				return fate{cut: 2 << 20}
			}
			return fate{}
		}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			n := serve(t, openDir(t))
			n.transport.pause = time.Millisecond
			newRelay(t, n, row.fate)
			from, id := source(t, 6<<20)
			before := runtime.NumGoroutine()
			if err := send(t, n, from, volume.Delta{Volume: id, To: "s1"}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "every goroutine ends", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// silent returns a connection whose other side reads and never says anything.
func silent() net.Conn {
	conn, peer := net.Pipe()
	go io.Copy(io.Discard, peer)
	return conn
}

// TestAPeerThatSaysNothing: neither side waits longer for a handshake than that may take.
func TestAPeerThatSaysNothing(t *testing.T) {
	key, _ := newKey(t)
	t.Run("a server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn, began := silent(), time.Now()
			defer conn.Close()
			_, err := (&Transport{Key: key}).handshake(conn, "b:1", key.PublicKey())
			if took := time.Since(began); !errors.Is(err, cluster.ErrUnavailable) || took != handshakeTimeout {
				t.Errorf("got %v after %s, want ErrUnavailable after %s", err, took, handshakeTimeout)
			}
		})
	})
	t.Run("a client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			config := &ssh.ServerConfig{NoClientAuth: true}
			config.AddHostKey(key)
			began := time.Now()
			(&Server{Log: slog.New(slog.DiscardHandler)}).answer(t.Context(), &stranger{conn: silent()}, config)
			if took := time.Since(began); took != handshakeTimeout {
				t.Errorf("it held its place for %s, want %s", took, handshakeTimeout)
			}
		})
	})
}

// TestADialEndsWithItsContext: nobody waits for a handshake that nobody wants any more.
func TestADialEndsWithItsContext(t *testing.T) {
	key, _ := newKey(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	to := cluster.Node{ID: "b", Name: "b", TransferKey: PublicKey(key), TransferAddress: listener.Addr().String()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dialed := make(chan error, 1)
	go func() { _, err := (&Transport{Key: key}).Dial(ctx, to); dialed <- err }()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	began := time.Now()
	cancel()
	if err := <-dialed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if took := time.Since(began); took >= handshakeTimeout {
		t.Errorf("it took %s", took)
	}
}

// TestRateOverTheWire: the limit holds for what is shipped, over the connection that is there.
func TestRateOverTheWire(t *testing.T) {
	n := serve(t, stub{receive: discard})
	began := time.Now()
	shipped, err := dial(t, n).Send(t.Context(), newDelta(), zeros(600<<10), transfer.Options{BytesPerSecond: 1 << 20})
	if err != nil || shipped != 600<<10 {
		t.Fatal(shipped, err)
	}
	// The first quarter of a megabyte goes at once; the rest takes a third of a second.
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("600 KiB at 1 MiB/s took %s", took)
	}
}
