package ssh

import (
	"context"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// aliveInterval is how often each side asks whether the other is there; an answer that
	// takes longer than aliveTimeout ends the connection. A dead peer is noticed within 15 s.
	aliveInterval = 5 * time.Second
	aliveTimeout  = 10 * time.Second
	// probeTimeout is how long a connection that something else waits for has to prove itself.
	probeTimeout = 2 * time.Second
)

// keepAlive ends the connection when the other side no longer answers. It returns then, or when
// ctx ends.
func keepAlive(ctx context.Context, conn ssh.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(aliveInterval):
		}
		if !answers(ctx, conn, aliveTimeout) && ctx.Err() == nil {
			conn.Close() // it is broken; there is nothing to learn from how
			return
		}
	}
}

// answers reports whether the other side answers in time. Any answer will do, a refusal too.
func answers(ctx context.Context, conn ssh.Conn, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		_, _, err := conn.SendRequest("keepalive@drover", true, nil)
		answer <- err
	}()
	select {
	case err := <-answer:
		return err == nil
	case <-ctx.Done():
		return false
	}
}
