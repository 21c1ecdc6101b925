package proxy

import (
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// pipeSize is what a pipe holds, if the kernel allows.
	pipeSize = 1 << 20
	// sparePipes is how many pipes are kept for the next direction that splices.
	sparePipes = 32
)

// A supply lends buffers and pipes to directions, for the time of one step.
type supply struct {
	buffers sync.Pool
	share   share // of the descriptors of pipes

	mu     sync.Mutex
	spare  []*pipe
	closed bool
}

func (s *supply) buffer() *[bufferSize]byte {
	if b, ok := s.buffers.Get().(*[bufferSize]byte); ok {
		return b
	}
	return new([bufferSize]byte)
}

func (s *supply) putBuffer(b *[bufferSize]byte) { s.buffers.Put(b) }

// A pipe is a buffer in the kernel.
type pipe struct {
	in, out int
}

// pipe returns an empty pipe.
func (s *supply) pipe() (*pipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.spare) - 1; last >= 0 {
		p := s.spare[last]
		s.spare = s.spare[:last]
		return p, nil
	}
	if !s.share.take(2) {
		return nil, unix.EMFILE
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		s.share.give(2)
		return nil, err
	}
	// A smaller one, where the kernel does not allow this, works too.
	unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize)
	return &pipe{in: fds[1], out: fds[0]}, nil
}

// putPipe takes back a pipe, which must be empty.
func (s *supply) putPipe(p *pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.spare) >= sparePipes || s.share.tight() {
		s.drop(p)
		return
	}
	s.spare = append(s.spare, p)
}

// close frees all that is not lent, and what comes back later when it does.
func (s *supply) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, p := range s.spare {
		s.drop(p)
	}
	s.spare = nil
}

// drop closes a pipe, with whatever is in it.
func (s *supply) drop(p *pipe) {
	unix.Close(p.in)
	unix.Close(p.out)
	s.share.give(2)
}
