package proxy

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socket is one end of a TCP connection. It waits in the runtime's poller as a net.TCPConn
// does, but asks the kernel for nothing that a proxy does not need: net would cost a tenth of
// the connections per second.
//
// Only the goroutine that owns the connection closes its sockets; anyone else interrupts.
type socket struct {
	file *os.File
	raw  syscall.RawConn
}

// newSocket takes over a non-blocking descriptor.
func newSocket(fd int) (*socket, error) {
	file := os.NewFile(uintptr(fd), "tcp")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &socket{file, raw}, nil
}

// keepaliveIdle is after how many seconds of silence the kernel probes whether a peer is there.
const keepaliveIdle = 60

// prepare sets the options of a connection. Set on a listening socket, those that it accepts
// inherit them.
func prepare(fd int) error {
	for _, o := range []struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepaliveIdle},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// interrupt makes the socket's owner stop waiting, with an error, now and later on.
func (s *socket) interrupt() { s.file.SetDeadline(time.Unix(1, 0)) }

// shutdown tells the peer, with unix.SHUT_WR, that nothing more will come.
func (s *socket) shutdown(how int) {
	s.raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), how) })
}

// close ends the connection in order: the peer gets what was sent to it, then the end.
func (s *socket) close() { s.file.Close() }

// reset ends the connection with an error for the peer, so that it takes nothing for complete.
func (s *socket) reset() {
	s.raw.Control(func(fd uintptr) {
		unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	})
	s.file.Close()
}
