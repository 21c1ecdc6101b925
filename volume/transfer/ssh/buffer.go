package ssh

import (
	"bufio"
	"net"
)

// The SFTP server runs with its allocator, which reuses the buffers of packets: nothing here keeps
// one beyond its call.

// buffered reads a connection in large pieces. The SSH library reads each packet of 32 KiB by
// several small calls of the system; this costs a copy and saves seven calls in eight.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func buffer(conn net.Conn) net.Conn {
	return buffered{conn, bufio.NewReaderSize(conn, 256<<10)}
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }
