package proxy

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cutOff makes the kernel drop whatever arrives at a connection, so that its peer hears nothing any more:
// as if the host had lost its network.
func cutOff(t testing.TB, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A pair is a client and an application that the proxy has connected.
type pair struct{ client, server *net.TCPConn }

func connectPair(t *testing.T, r *rig) pair {
	t.Helper()
	accepted, over := make(chan *net.TCPConn, 1), make(chan struct{})
	t.Cleanup(func() { close(over) })
	r.forward(backend(t, func(c *net.TCPConn) {
		accepted <- c
		<-over
	}))
	p := pair{client: r.dial()}
	p.server = <-accepted
	for _, c := range []*net.TCPConn{p.client, p.server} {
		c.SetDeadline(time.Now().Add(2 * patient))
	}
	mustPass(t, p.client, p.server)
	mustPass(t, p.server, p.client)
	return p
}

func mustPass(t *testing.T, from, to *net.TCPConn) {
	t.Helper()
	if _, err := io.WriteString(from, "hello"); err != nil {
		t.Fatal(err)
	}
	mustRead(t, to, "hello")
}

// TestSilenceEnds: whoever is left hears within half a minute that the other side is cut off, whether
// something was on its way or not.
func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rule string
		cut  func(pair) (gone, left *net.TCPConn)
		says bool // who is left says something to the other
	}{
		{"an application, and the client waits", func(p pair) (_, _ *net.TCPConn) { return p.server, p.client }, false},
		{"an application, and the client asks", func(p pair) (_, _ *net.TCPConn) { return p.server, p.client }, true},
		{"a client, and the application waits", func(p pair) (_, _ *net.TCPConn) { return p.client, p.server }, false},
		{"a client, and the application answers", func(p pair) (_, _ *net.TCPConn) { return p.client, p.server }, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			gone, left := row.cut(connectPair(t, r))
			cutOff(t, gone)
			began := time.Now()
			if row.says {
				io.WriteString(left, "are you there?")
			}
			mustReset(t, left)
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
			eventually(t, "the connection has ended", func() bool { return r.stats().Open == 0 })
		})
	}
}

// TestNotSilent: to say nothing, or to read nothing for a while, is not to be gone.
func TestNotSilent(t *testing.T) {
	t.Parallel()
	t.Run("who says nothing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.proxy.Silence = 4 * time.Second
		p := connectPair(t, r)
		time.Sleep(3 * r.proxy.Silence)
		mustPass(t, p.client, p.server)
	})
	t.Run("who reads nothing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.proxy.Silence = 4 * time.Second
		p := connectPair(t, r)
		const much = 32 << 20 // more than the sockets on the way take
		go p.server.Write(make([]byte, much))
		time.Sleep(3 * r.proxy.Silence) // the kernel asks it ever more rarely
		if n, err := io.CopyN(io.Discard, p.client, much); err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
	})
}
