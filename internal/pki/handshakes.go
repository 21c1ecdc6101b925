package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	// mostHandshakes is how many handshakes are under way at a time. When all agents come back at once, to a service
	// that starts again, each would take so long that all are given up and begun anew.
	mostHandshakes = 64
	// handshakePatience is how long a client waits for its turn: about as long as clients wait for their handshake.
	handshakePatience = 8 * time.Second
	// stalled is how long one that is under way counts: a client that does not go on keeps nobody out.
	stalled = time.Second
)

// handshakes are those of one service that are under way. Clients at one address have a part of the turns together,
// so that whoever comes often, and has no certificate, waits behind himself.
type handshakes struct {
	turns chan struct{}
	mu    sync.Mutex
	of    map[string]*share
}

// A share is what clients at one address have of the turns.
type share struct {
	turns chan struct{}
	users int // clients that have one, or wait
}

func newHandshakes(most int) *handshakes {
	return &handshakes{turns: make(chan struct{}, most), of: map[string]*share{}}
}

// hello is called when a client has said what it wants: one that says nothing has no turn.
func (h *handshakes) hello(client *tls.ClientHelloInfo) (*tls.Config, error) {
	host, _, _ := net.SplitHostPort(client.Conn.RemoteAddr().String())
	return nil, h.turn(client.Context(), host)
}

// turn waits until it is the turn of a handshake with a client at an address. Its end is that of ctx.
func (h *handshakes) turn(ctx context.Context, host string) error {
	patience := time.NewTimer(handshakePatience)
	defer patience.Stop()
	own := h.join(host)
	taken := 0
	over := sync.OnceFunc(func() {
		for _, turns := range []chan struct{}{own.turns, h.turns}[:taken] {
			<-turns
		}
		h.leave(host)
	})
	for _, turns := range []chan struct{}{own.turns, h.turns} {
		select {
		case turns <- struct{}{}:
			taken++
			continue
		case <-patience.C:
			over()
			return errors.New("too many others connect")
		case <-ctx.Done():
			over()
			return ctx.Err()
		}
	}
	limit := time.AfterFunc(stalled, over)
	context.AfterFunc(ctx, func() {
		limit.Stop()
		over()
	})
	return nil
}

func (h *handshakes) join(host string) *share {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of[host] == nil {
		h.of[host] = &share{turns: make(chan struct{}, max(cap(h.turns)/8, 1))}
	}
	h.of[host].users++
	return h.of[host]
}

func (h *handshakes) leave(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of[host].users--; h.of[host].users == 0 {
		delete(h.of, host)
	}
}
