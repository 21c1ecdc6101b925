package proxy

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// bufferSize is how much one copy moves at most.
	bufferSize = 16 << 10
	// spliceAfter is how many bytes a direction copies before it splices. Splice moves bulk at
	// half the cost, but costs more for a short message.
	spliceAfter = 64 << 10
	// smallTurn is what tells talk from bulk: a direction that moves less each time that it is
	// woken talks, and goes back to copying.
	smallTurn = 8 << 10
)

// A direction moves the bytes of a connection one way.
//
// It runs within one Read of its source, which calls turn whenever there is something to read.
// That costs one system call less per message than reading and waiting by turns, and between
// turns it holds neither a buffer nor a pipe: an idle connection costs its stacks.
type direction struct {
	sink, source *socket
	supply       *supply
	bytes        *atomic.Int64

	bulk     int  // bytes moved since the last small turn
	copyOnly bool // the kernel has no pipes, or no splice, for us

	err     error // the source broke, or someone interrupted
	sinkErr error // the sink broke

	unsent []byte // what flush sends
	flags  int    // how
	flush  func(fd uintptr) bool
}

func newDirection(sink, source *socket, rt *route) *direction {
	d := &direction{sink: sink, source: source, supply: &rt.proxy.supply, bytes: &rt.counters.bytes}
	d.flush = d.sendUnsent // made once: every message needs it
	return d
}

// A progress is how far a direction came.
type progress int

const (
	more  progress = iota // there may be more to read at once
	dry                   // nothing now
	ended                 // the source has ended, or either side is broken
)

// run moves bytes until the source ends. If it ended in order, both err and sinkErr are nil then.
func (d *direction) run() {
	if err := d.source.raw.Read(d.turn); err != nil {
		d.err = err
	}
}

// turn moves what there is. It returns false to be called when there is more.
func (d *direction) turn(fd uintptr) bool {
	moved := 0
	for {
		step := d.copy
		if d.bulk >= spliceAfter && !d.copyOnly {
			step = d.splice
		}
		n, p := step(fd)
		moved += n
		d.bulk += n
		d.bytes.Add(int64(n))
		if p == more {
			continue
		}
		if moved < smallTurn {
			d.bulk = 0
		}
		return p == ended
	}
}

// copy moves up to one buffer.
func (d *direction) copy(fd uintptr) (int, progress) {
	buf := d.supply.buffer()
	defer d.supply.putBuffer(buf)
	n, p := d.fill(fd, buf[:])
	if n == 0 {
		return 0, p
	}
	d.unsent, d.flags = buf[:n], 0
	if p == ended {
		// The end follows: let the last bytes and the end go out in one packet.
		d.flags = unix.MSG_MORE
	}
	if err := d.sink.raw.Write(d.flush); err != nil {
		d.err = err
	}
	sent := n - len(d.unsent)
	d.unsent = nil
	if sent < n {
		p = ended
	}
	return sent, p
}

// fill reads until buf is full or there is no more now. Looking for the end before the bytes are
// sent costs nothing, since the direction must see that the source is dry before it can wait.
func (d *direction) fill(fd uintptr, buf []byte) (n int, p progress) {
	for n < len(buf) {
		m, errno := recv(fd, buf[n:])
		switch {
		case errno == unix.EAGAIN:
			return n, dry
		case errno != 0:
			d.err = os.NewSyscallError("read", errno)
			return n, ended
		case m == 0:
			return n, ended
		}
		n += m
	}
	return n, more
}

// sendUnsent returns false to be called when the sink can take more.
func (d *direction) sendUnsent(fd uintptr) bool {
	for len(d.unsent) > 0 {
		n, errno := send(fd, d.unsent, d.flags)
		if errno == unix.EAGAIN {
			return false
		}
		if errno != 0 {
			d.sinkErr = os.NewSyscallError("write", errno)
			return true
		}
		d.unsent = d.unsent[n:]
	}
	return true
}
