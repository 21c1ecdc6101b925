package proxy

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// writeChunks writes n bytes that seed determines, in chunks of up to size bytes, and returns their
// hash.
func writeChunks(w io.Writer, seed uint64, n, size int) (sum [32]byte, err error) {
	random := rand.New(rand.NewPCG(seed, 0))
	hash := sha256.New()
	buf := make([]byte, size)
	for n > 0 {
		chunk := buf[:min(n, 1+random.IntN(size))]
		for i := range chunk {
			chunk[i] = byte(random.Uint32())
		}
		hash.Write(chunk)
		if _, err := w.Write(chunk); err != nil {
			return sum, err
		}
		n -= len(chunk)
	}
	return [32]byte(hash.Sum(nil)), nil
}

// tcpPair returns both ends of a connection over loopback, the second one as a socket.
func tcpPair(t *testing.T) (*net.TCPConn, *socket) {
	t.Helper()
	port := freePort(t)
	l, err := listen("127.0.0.1", port, limits{DefaultStall, DefaultSilence}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	accepted := make(chan *socket, 1)
	l.start(func(s *socket) { accepted <- s })
	c, err := net.Dial("tcp", address(port))
	if err != nil {
		t.Fatal(err)
	}
	s := <-accepted
	t.Cleanup(func() {
		c.Close()
		s.close()
	})
	c.SetDeadline(time.Now().Add(patient))
	return c.(*net.TCPConn), s
}

func TestBytesAreEqualBothWays(t *testing.T) {
	for _, tt := range []struct {
		name     string
		up, down int // bytes
		chunk    int // at most
		splice   bool
	}{
		{"nothing", 0, 0, 1, false},
		{"single bytes", 300, 300, 1, false},
		{"short messages, many", 200 << 10, 200 << 10, 300, false},
		{"one buffer", bufferSize, bufferSize, bufferSize, false},
		{"bulk up", 3 << 20, 10, 1 << 20, true},
		{"bulk down", 10, 3 << 20, 1 << 20, true},
		{"bulk both ways", 2 << 20, 2 << 20, 200 << 10, true},
		{"bulk in chunks of about a buffer", 2 << 20, 2 << 20, 2 * bufferSize, false},
	} {
		for _, copyOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/copy only %t", tt.name, copyOnly), func(t *testing.T) {
				client, left := tcpPair(t)
				server, right := tcpPair(t)
				rt := &route{proxy: new(Proxy)}
				t.Cleanup(rt.proxy.supply.close)
				up, down := newDirection(right, left, rt), newDirection(left, right, rt)
				up.copyOnly, down.copyOnly = copyOnly, copyOnly

				var both sync.WaitGroup
				for _, d := range []*direction{up, down} {
					both.Go(func() {
						d.run()
						if d.err != nil || d.sinkErr != nil {
							t.Errorf("the direction ended with %v, %v", d.err, d.sinkErr)
						}
						d.sink.shutdown(unix.SHUT_WR)
					})
				}
				both.Go(func() { mustCarry(t, client, server, 1, tt.up, tt.chunk) })
				both.Go(func() { mustCarry(t, server, client, 2, tt.down, tt.chunk) })
				both.Wait()
				if got := rt.counters.bytes.Load(); got != int64(tt.up+tt.down) {
					t.Errorf("%d bytes were counted, want %d", got, tt.up+tt.down)
				}
				if spliced := len(rt.proxy.supply.spare) > 0; tt.splice && spliced == copyOnly {
					t.Errorf("spliced: %t", spliced)
				}
			})
		}
	}
}

// mustCarry fails unless what is written at one end is all that comes out at the other.
func mustCarry(t *testing.T, from, to *net.TCPConn, seed uint64, n, chunk int) {
	t.Helper()
	received := make(chan [32]byte)
	go func() { received <- hashOf(t, to) }()
	want, err := writeChunks(from, seed, n, chunk)
	if err != nil {
		t.Error(err)
	}
	from.CloseWrite()
	if got := <-received; got != want {
		t.Errorf("the %d bytes that were sent are not those that arrived", n)
	}
}

// hashOf reads a connection to its end.
func hashOf(t *testing.T, c net.Conn) [32]byte {
	t.Helper()
	hash := sha256.New()
	if _, err := io.Copy(hash, c); err != nil {
		t.Error(err)
	}
	return [32]byte(hash.Sum(nil))
}

func TestSpliceIsForBulk(t *testing.T) {
	bulk := func(t *testing.T, c net.Conn) { mustEcho(t, c, strings.Repeat("bulk", 256<<10)) }
	talk := func(t *testing.T, c net.Conn) {
		for range 300 {
			mustEcho(t, c, strings.Repeat("talk", 100))
		}
	}
	for _, tt := range []struct {
		name string
		do   []func(*testing.T, net.Conn)
		want bool
	}{
		{"bulk is spliced", []func(*testing.T, net.Conn){bulk}, true},
		{"talk is copied, however long it lasts", []func(*testing.T, net.Conn){talk}, false},
		{"bulk after talk is spliced", []func(*testing.T, net.Conn){talk, bulk}, true},
		{"talk after bulk is carried", []func(*testing.T, net.Conn){bulk, talk}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.forward(backend(t, func(c *net.TCPConn) { io.Copy(c, c) }))
			c := r.dial()
			for _, do := range tt.do {
				do(t, c)
			}
			if !tt.want && r.sparePipes() > 0 {
				t.Error("a pipe was used")
			}
			if tt.want {
				eventually(t, "a pipe was used and given back", func() bool { return r.sparePipes() > 0 })
			}
		})
	}
}

func (r *rig) sparePipes() int {
	s := &r.proxy.supply
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.spare)
}

func TestIdleConnectionHoldsNoPipe(t *testing.T) {
	const connections = 10
	r := newRig(t)
	r.forward(backend(t, func(c *net.TCPConn) { io.Copy(c, c) }))
	for range connections { // one after the other: all can do with the pipes of one
		mustEcho(t, r.dial(), strings.Repeat("bulk", 256<<10))
		eventually(t, "the pipes were given back", func() bool { return r.sparePipes() > 0 })
	}
	if n := r.sparePipes(); n > 2 {
		t.Errorf("%d connections made %d pipes, want one for each way", connections, n)
	}
}

func TestSupplyKeepsFewPipes(t *testing.T) {
	var s supply
	var lent []*pipe
	for range sparePipes + 5 {
		p, err := s.pipe()
		if err != nil {
			t.Fatal(err)
		}
		lent = append(lent, p)
	}
	last := lent[len(lent)-1]
	for _, p := range lent[:len(lent)-1] {
		s.putPipe(p)
	}
	if len(s.spare) != sparePipes {
		t.Errorf("%d pipes are kept, want %d", len(s.spare), sparePipes)
	}
	s.close()
	s.putPipe(last)
	if len(s.spare) != 0 {
		t.Errorf("%d pipes are kept after the end", len(s.spare))
	}
}
