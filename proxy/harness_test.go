package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// A rig is a proxy with one port, and what a test needs to use it.
type rig struct {
	t     testing.TB
	proxy *Proxy
	port  int
	log   *record
}

// newRig starts nothing yet: the first route does.
func newRig(t testing.TB) *rig {
	r := &rig{t: t, log: new(record), port: freePort(t)}
	r.proxy = &Proxy{Address: "127.0.0.1", Log: slog.New(slog.NewTextHandler(r.log, nil))}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.proxy.Close(ctx)
	})
	return r
}

// apply makes the given route, on the rig's port, the only one.
func (r *rig) apply(route cluster.Route) {
	r.t.Helper()
	route.External = r.port
	if err := r.proxy.Apply([]cluster.Route{route}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) forward(endpoint string) { r.t.Helper(); r.apply(forwardTo(endpoint)) }

func (r *rig) hold(move cluster.MoveID, endpoint string) {
	r.t.Helper()
	r.apply(holdFor(move, endpoint))
}

// dial connects a client.
func (r *rig) dial() *net.TCPConn {
	r.t.Helper()
	c, err := net.Dial("tcp", address(r.port))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patient))
	return c.(*net.TCPConn)
}

// stats returns the figures of the rig's port.
func (r *rig) stats() Stats {
	r.t.Helper()
	all := r.proxy.Stats()
	if len(all) != 1 {
		r.t.Fatalf("%d routes have figures, want 1", len(all))
	}
	return all[0]
}

// patient is longer than anything takes on the busiest machine.
const patient = 30 * time.Second

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// freePort returns a port of 127.0.0.1 on which nobody listens. It is below those that the
// kernel gives to outgoing connections, so that none of them takes it meanwhile.
func freePort(t testing.TB) int {
	t.Helper()
	for port := 20000 + time.Now().Nanosecond()/1000%10000; port < 32000; port++ {
		if l, err := net.Listen("tcp", address(port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// backend serves each connection with handle, which may ignore errors, and closes it after.
func backend(t testing.TB, handle func(*net.TCPConn)) (endpoint string) {
	t.Helper()
	return backendAt(t, "127.0.0.1:0", handle)
}

func backendAt(t testing.TB, at string, handle func(*net.TCPConn)) (endpoint string) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(patient))
			open.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// named is an application that says its name, then repeats what it hears until its end.
func named(t testing.TB, name string) (endpoint string) {
	t.Helper()
	return backend(t, func(c *net.TCPConn) {
		io.WriteString(c, name)
		io.Copy(c, c)
	})
}

// mustRead fails unless exactly want comes next.
func mustRead(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %.99q, %v; want %.99q", got[:n], err, want)
	}
}

// mustEcho fails unless a message comes back. It reads while it writes, whatever the length.
func mustEcho(t testing.TB, c net.Conn, message string) {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, message)
		written <- err
	}()
	mustRead(t, c, message)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

// mustReset fails unless the connection ends now, and with an error.
func mustReset(t testing.TB, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	if err == nil {
		t.Fatal("the connection ended in order, want a reset")
	}
	if !strings.Contains(err.Error(), "reset") {
		t.Fatalf("the connection ended with %v, want a reset", err)
	}
}

// A record keeps what is logged.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) has(s string) bool { return r.count(s) > 0 }

func (r *record) count(s string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.buf.String(), s)
}
