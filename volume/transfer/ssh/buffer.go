package ssh

import (
	"bufio"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// The SFTP server runs with its allocator, which reuses the buffers of packets: nothing here keeps
// one beyond its call.

// buffered reads a connection in large pieces. The SSH library reads each packet of 32 KiB by
// several small calls of the system; this costs a copy and saves seven calls in eight.
// The pieces are small until more has come than a handshake takes: strangers are not worth much.
type buffered struct {
	net.Conn
	r     *bufio.Reader
	small int             // bytes that are still to be read in small pieces
	raw   syscall.RawConn // nil for what is no connection of the system
}

const (
	largeBuffer = 256 << 10
	smallBuffer = 4 << 10
	// handshakeSize is more than a client sends before it has shown who it is.
	handshakeSize = 16 << 10
	// firstPiece is what the SSH library writes of a larger packet before the rest of it.
	firstPiece = 4 << 10
)

func buffer(conn net.Conn) net.Conn {
	b := &buffered{Conn: conn, r: bufio.NewReaderSize(conn, smallBuffer), small: handshakeSize}
	if c, ok := conn.(syscall.Conn); ok {
		b.raw, _ = c.SyscallConn() // a connection that is closed already says so when it is used
	}
	return b
}

// Write lets the first piece of a packet wait for the rest: each by itself would cost both sides a
// way through the network and a wake-up. If there is no rest the system sends it after 200 ms.
func (b *buffered) Write(p []byte) (int, error) {
	if len(p) != firstPiece || b.raw == nil {
		return b.Conn.Write(p)
	}
	var n int
	var sent error
	err := b.raw.Write(func(fd uintptr) bool {
		for n < len(p) && sent == nil {
			var part int
			part, sent = unix.SendmsgN(int(fd), p[n:], nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
			n += max(part, 0)
			if errors.Is(sent, unix.EINTR) {
				sent = nil
			}
		}
		if !errors.Is(sent, unix.EAGAIN) {
			return true
		}
		sent = nil
		return false
	})
	return n, errors.Join(err, sent)
}

// Read is called by one goroutine.
func (b *buffered) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.small <= 0 {
		return n, err
	}
	if b.small -= n; b.small <= 0 && b.r.Buffered() > 0 {
		b.small = 1 // first what is in the small one
	} else if b.small <= 0 {
		b.r = bufio.NewReaderSize(b.Conn, largeBuffer)
	}
	return n, err
}
