package proxy

import (
	"os"

	"golang.org/x/sys/unix"
)

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// splice moves up to one pipe of bytes that this process never sees.
func (d *direction) splice(fd uintptr) (int, progress) {
	p, err := d.supply.pipe()
	if err != nil {
		d.copyOnly = true
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
	sent := d.drain(p, n)
	if sent < n {
		p.close()
		return sent, ended
	}
	d.supply.putPipe(p)
	return sent, more
}

// drain empties the pipe, which holds n bytes, into the sink and returns how many went. If they
// are fewer, the direction has ended.
func (d *direction) drain(p *pipe, n int) (sent int) {
	err := d.sink.raw.Write(func(fd uintptr) bool {
		for sent < n {
			m, err := splice(p.out, int(fd), n-sent)
			if err == unix.EAGAIN {
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
	if err != nil {
		d.err = err
	}
	return sent
}

func splice(from, to, n int) (int, error) {
	for {
		moved, err := unix.Splice(from, nil, to, nil, n, spliceFlags)
		if err != unix.EINTR {
			return int(moved), err
		}
	}
}
