package proxy

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// splice moves up to one pipe of bytes that this process never sees.
func (d *direction) splice(fd uintptr) (int, progress) {
	p, err := d.supply.pipe()
	if err != nil {
		d.bulk = 0 // copy for a while
		return 0, more
	}
	n, err := splice(int(fd), p.in, pipeSize)
	switch {
	case err == unix.EAGAIN:
		d.supply.putPipe(p)
		return 0, dry
	case err == unix.EINVAL || err == unix.ENOSYS || err == unix.EPERM:
		d.supply.putPipe(p)
		d.copyOnly = true
		return 0, more
	case err != nil:
		d.supply.putPipe(p)
		d.err = os.NewSyscallError("splice", err)
		return 0, ended
	case n == 0:
		d.supply.putPipe(p)
		return 0, ended
	}
	sent, rest := d.drain(p, n)
	if rest != nil {
		sent += d.push(rest)
	}
	if sent < n {
		return sent, ended
	}
	return sent, more
}

// pinned is how long a sink that is slow, or takes nothing at all, may pin a pipe.
const pinned = time.Second

// drain empties the pipe, which holds n bytes, into the sink, gives it back, and returns how many bytes
// went. A sink for which that takes too long gets no pipe: the rest is what was left in it then. If
// there is none and fewer bytes went, the direction has ended.
func (d *direction) drain(p *pipe, n int) (sent int, rest []byte) {
	full := false
	err := d.sink.raw.Write(func(fd uintptr) bool {
		for sent < n {
			m, err := splice(p.out, int(fd), n-sent)
			if err == unix.EAGAIN {
				if !full {
					full = true
					d.sink.writeBy(time.Now().Add(pinned))
				}
				return false
			}
			if err != nil {
				d.sinkErr = os.NewSyscallError("splice", err)
				return true
			}
			sent += m
		}
		return true
	})
	if full {
		d.sink.writeBy(time.Time{})
	}
	switch {
	case err == nil && sent == n:
		d.supply.putPipe(p)
	case errors.Is(err, os.ErrDeadlineExceeded) && !d.sink.interrupted():
		rest, err = p.empty(n - sent)
		if err == nil {
			d.supply.putPipe(p)
			return sent, rest
		}
		fallthrough
	default:
		d.supply.drop(p)
		d.err = err // nil if the sink broke
	}
	return sent, nil
}

// push sends what was taken out of a pipe and returns how much went. The sink is slow: the direction
// copies then, for a while.
func (d *direction) push(rest []byte) int {
	d.bulk = 0
	d.unsent, d.flags = rest, 0
	if err := d.sink.raw.Write(d.flush); err != nil {
		d.err = err
	}
	sent := len(rest) - len(d.unsent)
	d.unsent = nil
	return sent
}

// empty reads the n bytes that a pipe holds.
func (p *pipe) empty(n int) ([]byte, error) {
	rest := make([]byte, n)
	for got := 0; got < n; {
		m, err := unix.Read(p.out, rest[got:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, os.NewSyscallError("read", err)
		default:
			got += m
		}
	}
	return rest, nil
}

func splice(from, to, n int) (int, error) {
	for {
		moved, err := unix.Splice(from, nil, to, nil, n, spliceFlags)
		if err != unix.EINTR {
			return int(moved), err
		}
	}
}
