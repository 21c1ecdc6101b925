package proxy

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// acceptPause is how long an accept loop rests when the process is out of descriptors or memory.
const acceptPause = 50 * time.Millisecond

// A listener accepts the connections of one port.
type listener struct {
	file    *os.File
	raw     syscall.RawConn
	log     *slog.Logger
	closing chan struct{}
	closed  chan struct{} // when the accept loop has ended
}

// listen binds the port. Clients that come before start wait in the backlog.
func listen(address string, port int, limits limits, log *slog.Logger) (*listener, error) {
	config := net.ListenConfig{
		KeepAlive: -1, // inherited, see prepare
		Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			if cerr := raw.Control(func(fd uintptr) { err = prepare(int(fd), limits) }); cerr != nil {
				return cerr
			}
			return err
		},
	}
	bound, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	defer bound.Close() // the file is a duplicate that listens on
	file, err := bound.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &listener{file, raw, log, make(chan struct{}), make(chan struct{})}, nil
}

// start hands each connection that is accepted from now on to serve, which owns it. While serve blocks,
// which must end when l is closing, clients wait in the backlog.
func (l *listener) start(serve func(*socket)) {
	go func() {
		defer close(l.closed)
		l.raw.Read(func(fd uintptr) bool { return l.acceptAll(fd, serve) })
	}()
}

// acceptAll empties the backlog. It returns false to wait for more, true when l is closing.
func (l *listener) acceptAll(fd uintptr, serve func(*socket)) bool {
	for failing := false; ; {
		n, errno := accept(fd)
		switch errno {
		case 0:
			failing = false
			if s, err := newSocket(n); err == nil {
				serve(s)
			}
			continue
		case unix.EAGAIN:
			return false
		case unix.EINTR, unix.ECONNABORTED:
			continue
		}
		if !failing {
			failing = true
			l.log.Error("accept failed; clients wait in the backlog", "error", errno)
		}
		select {
		case <-time.After(acceptPause):
		case <-l.closing:
			return true
		}
	}
}

// close gives the port up. Clients in the backlog are refused. When it returns, serve is not
// called any more and the port is free.
func (l *listener) close() {
	close(l.closing)
	l.file.Close()
	<-l.closed
}
