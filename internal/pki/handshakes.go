package pki

import (
	"context"
	"crypto/tls"
	"errors"
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

// handshakes are those of one service that are under way.
type handshakes chan struct{}

// hello is called when a client has said what it wants: one that says nothing has no turn.
func (h handshakes) hello(client *tls.ClientHelloInfo) (*tls.Config, error) {
	return nil, h.turn(client.Context())
}

// turn waits until it is the turn of a handshake, whose end is that of ctx.
func (h handshakes) turn(ctx context.Context) error {
	patience := time.NewTimer(handshakePatience)
	defer patience.Stop()
	select {
	case h <- struct{}{}:
	case <-patience.C:
		return errors.New("too many others connect")
	case <-ctx.Done():
		return ctx.Err()
	}
	over := sync.OnceFunc(func() { <-h })
	limit := time.AfterFunc(stalled, over)
	context.AfterFunc(ctx, func() {
		limit.Stop()
		over()
	})
	return nil
}
