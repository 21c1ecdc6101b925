package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// two is a server that knows a node and a user, each by a key of its own.
func two(t *testing.T, target volume.Backend, set ...func(*Server)) (n *node, user *Transport) {
	t.Helper()
	userKey, _ := newKey(t)
	n = serve(t, target, append(set, func(s *Server) {
		known := s.Peers
		s.Peers = func(key string) (cluster.NodeID, bool) {
			if key == PublicKey(userKey) {
				return "", true
			}
			return known(key)
		}
	})...)
	return n, &Transport{Key: userKey}
}

// knock connects from an address and says nothing.
func knock(t *testing.T, n *node, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", n.node.TransferAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// greeted reports whether the server still talks to a connection: it sends its version first.
func greeted(c net.Conn) <-chan error {
	closed := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c)
		closed <- err
	}()
	return closed
}

// TestStrangersWhoSayNothingStopNobody: neither a transfer under way nor one that comes.
func TestStrangersWhoSayNothingStopNobody(t *testing.T) {
	for _, from := range []string{"127.0.0.1", "127.0.0.2"} { // ours, and another address
		t.Run("from "+from, func(t *testing.T) {
			n := serve(t, stub{receive: discard})
			before := dial(t, n)
			for range 400 {
				knock(t, n, from)
			}
			for _, s := range []transfer.Session{before, dial(t, n)} {
				if _, err := s.Send(t.Context(), newDelta(), zeros(1<<20), transfer.Options{}); err != nil {
					t.Error(err)
				}
			}
			n.server.visitors.mu.Lock()
			defer n.server.visitors.mu.Unlock()
			if got := len(n.server.visitors.strangers); got > n.server.Limits.strangersOf() {
				t.Errorf("%d strangers of one address are there", got)
			}
		})
	}
}

// TestStrangersGiveWayToTheNewest: first those of the address that has the most.
func TestStrangersGiveWayToTheNewest(t *testing.T) {
	n := serve(t, stub{receive: discard}, func(s *Server) { s.Limits.Strangers = 8 }) // half of them of one address
	lone := greeted(knock(t, n, "127.0.0.9"))
	var many []<-chan error
	for i := range 20 {
		many = append(many, greeted(knock(t, n, fmt.Sprintf("127.0.0.%d", 2+i%5))))
		strangers := func() int {
			n.server.visitors.mu.Lock()
			defer n.server.visitors.mu.Unlock()
			return len(n.server.visitors.strangers)
		}
		eventually(t, "it has been met", func() bool { return strangers() >= min(i+2, 8) })
	}
	<-many[0] // the oldest went
	select {
	case <-lone:
		t.Error("the only one of its address had to go")
	default:
	}
	eventually(t, "no more are there than may be", func() bool {
		n.server.visitors.mu.Lock()
		defer n.server.visitors.mu.Unlock()
		return len(n.server.visitors.strangers) == 8
	})
}

func TestWhoseConnectionsAreCountedTogether(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7/32", "[::ffff:192.0.2.7]:1": "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[fe80::1%lo]:1": "fe80::/64",
	} {
		at, err := net.ResolveTCPAddr("tcp", a)
		if err != nil {
			t.Fatal(err)
		}
		if got := network(at).String(); got != want {
			t.Errorf("%s is of %s, want %s", a, got, want)
		}
	}
}

// TestAKeyOpensOnlySoMuch: a file that is open costs nothing until it is read, and there are few of them
// in all connections of a key together.
func TestAKeyOpensOnlySoMuch(t *testing.T) {
	b, id := memSource(t, 100)
	var sends atomic.Int32
	n, user := two(t, sending{b, &sends})
	snapshot := path.Join("/volumes", string(id), "snapshots", "s1")
	var open []io.Closer
	connect := func() *connection {
		c, err := user.connect(t.Context(), n.node)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.close() })
		return c
	}
	first, second := connect(), connect()
	limit := n.server.Limits.handlesOf(false)
	for i := range limit {
		c := []*connection{first, second}[i%2]
		f, err := c.sftp.Open(snapshot)
		if err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
		open = append(open, f)
	}
	for _, c := range []*connection{first, second, connect()} {
		if _, err := c.sftp.Open(snapshot); !errors.Is(answered(err), cluster.ErrUnavailable) {
			t.Errorf("one more: got %v, want ErrUnavailable", err)
		}
		if _, err := c.sftp.ReadDir("/volumes"); !errors.Is(answered(err), cluster.ErrUnavailable) {
			t.Errorf("a directory: got %v, want ErrUnavailable", err)
		}
	}
	if sends.Load() != 0 {
		t.Errorf("the backend was asked for %d streams that nobody has read", sends.Load())
	}
	if err := send(t, n, zeros(1<<20), newDelta()); errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a node is in the way: %v", err)
	}
	if err := open[0].Close(); err != nil {
		t.Error(err)
	}
	f, err := first.sftp.Open(snapshot)
	if err != nil {
		t.Fatalf("after one was closed: %v", err)
	}
	if stream, err := io.ReadAll(f); err != nil || len(stream) == 0 || sends.Load() != 1 {
		t.Errorf("read %d bytes, %v, of %d streams", len(stream), err, sends.Load())
	}
	second.close() // with its files open
	eventually(t, "what it had is given back", func() bool {
		f, err := first.sftp.Open(snapshot)
		if err == nil {
			open = append(open, f)
		}
		return err == nil
	})
}

// sending counts the streams that are made.
type sending struct {
	volume.Backend
	count *atomic.Int32
}

func (s sending) Send(ctx context.Context, d volume.Delta, w io.Writer) error {
	s.count.Add(1)
	return s.Backend.Send(ctx, d, w)
}

// TestUsersConnectionsAreApartFromNodes: those of one key are few, and take no place of another user or
// of a node.
func TestUsersConnectionsAreApartFromNodes(t *testing.T) {
	n, user := two(t, stub{receive: discard}, func(s *Server) { s.Limits.Connections = 24 })
	known := n.server.Peers
	otherKey, _ := newKey(t)
	n.server.Peers = func(key string) (cluster.NodeID, bool) {
		if key == PublicKey(otherKey) {
			return "", true
		}
		return known(key)
	}
	fill := func(t *testing.T, by *Transport, want int) (last transfer.Session) {
		t.Helper()
		for i := range want {
			s, err := by.Dial(t.Context(), n.node)
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			t.Cleanup(func() { s.Close() })
			last = s
		}
		if _, err := by.Dial(t.Context(), n.node); !errors.Is(err, cluster.ErrUnavailable) {
			t.Errorf("one more: got %v, want ErrUnavailable", err)
		}
		return last
	}
	last := fill(t, user, 4)
	fill(t, &Transport{Key: otherKey}, 2) // then users have their quarter
	fill(t, n.transport, 24)
	last.Close()
	eventually(t, "there is room for the user again", func() bool {
		s, err := user.Dial(t.Context(), n.node)
		if err == nil {
			s.Close()
		}
		return err == nil
	})
}

// TestVisitorsAreForgotten: nothing is kept of who is gone.
func TestVisitorsAreForgotten(t *testing.T) {
	n, user := two(t, openDir(t))
	for _, transport := range []*Transport{n.transport, user} {
		s, err := transport.Dial(t.Context(), n.node)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Copy(t.Context(), newDelta().Volume); !errors.Is(err, cluster.ErrNotFound) {
			t.Error(err)
		}
		s.Close()
	}
	knock(t, n, "127.0.0.1").Close()
	v := &n.server.visitors
	eventually(t, "all are forgotten", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return len(v.strangers) == 0 && len(v.guests) == 0 && v.nodes == 0 && v.users == 0
	})
}

// TestAStrangerCostsLittle: what Limits says that it does.
func TestAStrangerCostsLittle(t *testing.T) {
	const strangers = 100
	n := serve(t, stub{receive: discard})
	used := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // pools, which earlier tests have filled, keep what is in them for one
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := used()
	for range strangers {
		c := knock(t, n, "127.0.0.1")
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil { // it has been met
			t.Fatal(err)
		}
	}
	each := (used() - before) / strangers
	t.Logf("a stranger costs %d KiB", each>>10)
	if each > 100<<10 {
		t.Error("that is more than is said")
	}
}
