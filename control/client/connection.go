package client

import (
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// deafAfter is how long heartbeats may go unacknowledged. Keep-alives say nothing while they do: the kernel sends
// none then.
const deafAfter = 15 * time.Second

// A connection says when it is closed. The transport closes it as soon as the other side has, and returns the error
// only when the body of the request has ended: that of a poll must end then.
type connection struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func watched(c net.Conn) *connection { return &connection{Conn: c, closed: make(chan struct{})} }

func (c *connection) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// gone is closed with the connection.
func (c *connection) gone() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.closed
}

// bound has the kernel close the connection when what was sent is not acknowledged for so long; zero: as it likes.
func (c *connection) bound(d time.Duration) {
	if c == nil {
		return
	}
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		return // a test's
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
	}
}

// trace has the beats end with the connection that they go by.
func (b *beats) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if secure, ok := got.Conn.(*tls.Conn); ok {
			b.by, _ = secure.NetConn().(*connection)
		}
		b.by.bound(deafAfter)
	}}
}
