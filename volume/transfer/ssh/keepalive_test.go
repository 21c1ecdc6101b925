package ssh

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// A line is a connection whose other side takes that long to answer, until it is closed.
type line struct {
	ssh.Conn
	delay  time.Duration
	closed chan struct{}
	asked  atomic.Int32
}

func (l *line) SendRequest(string, bool, []byte) (bool, []byte, error) {
	l.asked.Add(1)
	select {
	case <-time.After(l.delay):
		return false, nil, nil
	case <-l.closed:
		return false, nil, errors.New("closed")
	}
}

func (l *line) Close() error {
	close(l.closed)
	return nil
}

func TestKeepAlive(t *testing.T) {
	for _, row := range []struct {
		rule  string
		delay time.Duration
		dead  time.Duration // when it is given up; zero: never
	}{
		{"a peer that answers is kept", time.Millisecond, 0},
		{"a peer that is slow is kept", 9 * time.Second, 0},
		{"a peer that does not answer is given up within 15 s", time.Hour, 15 * time.Second},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				l := &line{delay: row.delay, closed: make(chan struct{})}
				began := time.Now()
				keepAlive(ctx, l)
				took := time.Since(began)
				if row.dead > 0 && took != row.dead {
					t.Errorf("given up after %s, want %s", took, row.dead)
				}
				select {
				case <-l.closed:
					if row.dead == 0 {
						t.Errorf("closed after %s", took)
					}
				default:
					if row.dead > 0 {
						t.Error("left open")
					}
					l.Close() // frees what is still asking
				}
				if row.dead == 0 && l.asked.Load() < 30 {
					t.Errorf("asked %d times in %s", l.asked.Load(), took)
				}
			})
		})
	}
}
