package proxy

import (
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// Of the descriptors that the process may have, a third is kept back for whoever else is in it:
	// whatever clients do, health checks, transfers and commands go on. But at least leastKept, and no
	// more than mostKept.
	leastKept = 64
	mostKept  = 1024
	// greed is how many times what is still free one route may take. With 3, one that takes what it can
	// leaves a quarter to the others, two leave a seventh, and so on: what one has, nobody has to set.
	greed = 3
	// perConnection is what a connection takes: the client's socket and the endpoint's.
	perConnection = 2
)

// A budget is how many descriptors the connections of a proxy may take, all routes together.
type budget struct {
	mu          sync.Mutex
	total, used int
	freed       chan struct{} // closed when something is given back; nil while nobody waits for that
}

// filesFor returns how many of a process's descriptors may be for connections.
func filesFor(limit uint64) int {
	n := int(min(limit, 1<<24)) // "unlimited" is a number, too
	return max(n-max(leastKept, min(n/3, mostKept)), 8*perConnection)
}

// ownFiles is filesFor this process.
func ownFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		limit.Cur = 1024 // what a process has where nobody has said anything
	}
	return filesFor(limit.Cur)
}

// given returns a channel that is closed when something is given back from now on.
func (b *budget) given() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	return b.freed
}

// A share is what one user of a budget has of it. Without a budget it has what it asks for.
type share struct {
	of   *budget
	used int // under of.mu
}

// take takes n descriptors if the share may have them.
func (s *share) take(n int) bool {
	if s.of == nil {
		return true
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	left := s.of.total - s.of.used - n
	if left < 0 || s.used+n > greed*left {
		return false
	}
	s.add(n)
	return true
}

// keep takes n descriptors that are in use whatever the budget says.
func (s *share) keep(n int) {
	if s.of == nil {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.add(n)
}

// give gives n descriptors back, once they are closed.
func (s *share) give(n int) {
	if s.of == nil {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.add(-n)
	if s.of.freed != nil {
		close(s.of.freed)
		s.of.freed = nil
	}
}

func (s *share) add(n int) {
	s.used += n
	s.of.used += n
}

// tight reports whether so little is left that nothing should be kept for later.
func (s *share) tight() bool {
	if s.of == nil {
		return false
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.of.total-s.of.used < s.of.total/4
}
