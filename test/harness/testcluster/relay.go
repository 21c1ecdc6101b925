package testcluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/drover/drover/internal/localcluster"
)

// relays stand between the processes of a cluster: one before each node's transfer server, and
// one before the control service per node.
type relays struct {
	t  *testing.T
	mu sync.Mutex
	of map[string]*relay
}

func newRelays(t *testing.T) *relays { return &relays{t: t, of: map[string]*relay{}} }

// advertise gives a node its relays; it is asked again whenever the node is started.
func (c *Cluster) advertise(node string) (transfer, control string) {
	transfer = c.relays.address("transfer "+node, fmt.Sprintf("%s:%d", c.Address(node), localcluster.TransferPort))
	control = c.relays.address("control "+node, c.ControlAddress())
	return transfer, control
}

// CutTransfer cuts the way to a node's transfer server: open connections break, new ones fail.
func (c *Cluster) CutTransfer(node string) { c.relays.get("transfer " + node).cut(true) }

// CutControl cuts a node off from the control service.
func (c *Cluster) CutControl(node string) { c.relays.get("control " + node).cut(true) }

// Partition does both: the node is alone.
func (c *Cluster) Partition(node string) {
	c.CutTransfer(node)
	c.CutControl(node)
}

// Slow limits the way to a node's transfer server to that many bytes per second; zero lifts it.
func (c *Cluster) Slow(node string, bytesPerSecond int) {
	c.relays.get("transfer " + node).slow(bytesPerSecond)
}

// Heal mends all that was cut.
func (c *Cluster) Heal() {
	c.relays.mu.Lock()
	defer c.relays.mu.Unlock()
	for _, r := range c.relays.of {
		r.cut(false)
	}
}

func (rs *relays) address(name, target string) string {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r, ok := rs.of[name]; ok {
		return r.listener.Addr().String()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		rs.t.Fatal(err)
	}
	r := &relay{listener: listener, target: target, open: map[net.Conn]bool{}}
	rs.of[name] = r
	go r.serve()
	return listener.Addr().String()
}

func (rs *relays) get(name string) *relay {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.of[name]
}

func (rs *relays) close() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.of {
		r.listener.Close()
		r.cut(true)
	}
}

// A relay carries connections to one target.
type relay struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	isCut   bool
	limiter *rate.Limiter
	open    map[net.Conn]bool
}

func (r *relay) serve() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		go r.carry(conn)
	}
}

func (r *relay) carry(client net.Conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", r.target, 5*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	if !r.track(client, server) {
		return
	}
	defer r.forget(client, server)
	done := make(chan struct{}, 2)
	pump := func(to, from net.Conn) {
		io.Copy(limited{to, r}, from) // how it ended is for the two ends to see
		to.(*net.TCPConn).CloseWrite()
		done <- struct{}{}
	}
	go pump(client, server)
	pump(server, client)
	<-done
	<-done
}

func (r *relay) track(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		r.open[c] = true
	}
	return !r.isCut
}

func (r *relay) forget(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		delete(r.open, c)
	}
}

func (r *relay) cut(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut = on
	if on {
		for c := range r.open {
			c.Close()
		}
	}
}

func (r *relay) slow(bytesPerSecond int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limiter = nil
	if bytesPerSecond > 0 {
		r.limiter = rate.NewLimiter(rate.Limit(bytesPerSecond), 64<<10)
	}
}

// limited writes no faster than its relay allows.
type limited struct {
	net.Conn
	relay *relay
}

func (l limited) Write(p []byte) (int, error) {
	l.relay.mu.Lock()
	limiter := l.relay.limiter
	l.relay.mu.Unlock()
	if limiter != nil {
		for left := len(p); left > 0; left -= limiter.Burst() {
			if err := limiter.WaitN(context.Background(), min(left, limiter.Burst())); err != nil {
				return 0, err
			}
		}
	}
	return l.Conn.Write(p)
}
