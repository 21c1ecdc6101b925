package proxy

import (
	"os"
	"sync"
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

	mu  sync.Mutex
	cut bool // interrupted: no deadline undoes that

	suspect bool // what silent found the last time
}

// newSocket takes over a non-blocking descriptor.
func newSocket(fd int) (*socket, error) {
	file := os.NewFile(uintptr(fd), "tcp")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &socket{file: file, raw: raw}, nil
}

// limits are how long a peer may be of no use.
type limits struct {
	stall   time.Duration // acknowledges, or makes room for, nothing of what waits for it: the kernel ends it
	silence time.Duration // is not heard of: see silent
}

// prepare sets the options of a connection. Set on a listening socket, those that it accepts
// inherit them.
func prepare(fd int, l limits) error {
	// Several probes go unanswered within the silence.
	idle := max(int(l.silence.Seconds())/2, 1)
	interval := max(int(l.silence.Seconds())/6, 1)
	for _, o := range []struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, interval},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(l.stall.Milliseconds())},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// interrupt makes the socket's owner stop waiting, with an error, now and later on.
func (s *socket) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	s.file.SetDeadline(time.Unix(1, 0))
}

// writeBy gives what waits to write until then. The zero time is no limit.
func (s *socket) writeBy(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.cut {
		s.file.SetWriteDeadline(t)
	}
}

func (s *socket) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut
}

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
