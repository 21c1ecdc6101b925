package ssh

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A relay stands between the clients and a server, and breaks what goes through it.
type relay struct {
	target string
	fate   func(connection int) fate // of the next connection
	bytes  atomic.Int64              // carried to the server

	mu    sync.Mutex
	links []*link
}

// A fate is what becomes of one connection. Offsets count the bytes from client to server; zero
// means that it does not happen.
type fate struct {
	cut    int64 // both sides are closed, when the server has read what was carried
	flip   int64 // one bit is turned over
	freeze int64 // nothing more goes either way, and nobody is told
}

func unharmed(int) fate { return fate{} }

// newRelay puts a relay before a node.
func newRelay(t testing.TB, n *node, what func(connection int) fate) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{target: n.node.TransferAddress, fate: what}
	n.node.TransferAddress = listener.Addr().String()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { r.carry(client) })
		}
	})
	t.Cleanup(func() { listener.Close(); r.cut(); running.Wait() })
	return r
}

func (r *relay) carry(client net.Conn) {
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		client.Close()
		return
	}
	l := &link{client: client.(*net.TCPConn), server: server.(*net.TCPConn)}
	r.mu.Lock()
	r.links = append(r.links, l)
	l.fate = r.fate(len(r.links))
	r.mu.Unlock()
	var back sync.WaitGroup
	back.Go(l.back)
	l.forth(&r.bytes)
	back.Wait()
	if !l.frozen.Load() {
		server.Close()
	}
}

// cut closes every connection.
func (r *relay) cut() {
	for _, l := range r.all() {
		l.client.Close()
		l.server.Close()
	}
}

// freeze freezes every connection that there is now.
func (r *relay) freeze() {
	for _, l := range r.all() {
		l.frozen.Store(true)
	}
}

func (r *relay) all() []*link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links
}

func (r *relay) connections() int { return len(r.all()) }

// A link is one connection through a relay.
type link struct {
	client, server *net.TCPConn
	fate           fate
	frozen         atomic.Bool
}

// forth carries from the client to the server until one of them ends or its fate has come. When
// a frozen link's client gives up, the server is not told.
func (l *link) forth(carried *atomic.Int64) {
	defer func() {
		l.client.Close()
		if !l.frozen.Load() {
			l.server.CloseWrite()
		}
	}()
	var at int64
	piece := make([]byte, 32<<10)
	for {
		n, err := l.client.Read(piece)
		if err != nil {
			return
		}
		if flip := l.fate.flip - at; flip > 0 && flip <= int64(n) {
			piece[flip-1] ^= 1
		}
		at += int64(n)
		if l.fate.freeze > 0 && at >= l.fate.freeze {
			l.frozen.Store(true)
		}
		if l.frozen.Load() {
			io.Copy(io.Discard, l.client)
			return
		}
		if _, err := l.server.Write(piece[:n]); err != nil {
			return
		}
		carried.Add(int64(n))
		if l.fate.cut > 0 && at >= l.fate.cut {
			return
		}
	}
}

// back carries from the server to the client. It reads what comes for a client that is gone, too: what
// is closed unread is a reset, which takes away what the other side has not read yet.
func (l *link) back() {
	defer l.client.Close()
	answer := make([]byte, 32<<10)
	for {
		n, err := l.server.Read(answer)
		if err != nil {
			return
		}
		if !l.frozen.Load() {
			l.client.Write(answer[:n])
		}
	}
}
