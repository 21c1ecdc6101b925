package files

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// maxMemoryFile bounds what is kept in memory for lack of space: the hashes of 512 GiB, in one listing.
const maxMemoryFile = 256 << 20

// MemoryFile makes a file that takes no space of any disk. It is gone when it is closed.
func MemoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("drover-listing", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "memory"), nil
}

// A roomy is a file that goes on elsewhere when its disk is full: with what is written about a tree, so
// that an application that has taken all of it can still be moved away.
type roomy struct {
	*os.File
	elsewhere func() (*os.File, error) // nil: nowhere
	moved     bool
	size      int64
}

func createRoomy(dir, pattern string, elsewhere func() (*os.File, error)) (*roomy, error) {
	f, err := os.CreateTemp(dir, pattern)
	r := &roomy{File: f, elsewhere: elsewhere}
	if cluster.Full(err) && elsewhere != nil {
		r.File, err = elsewhere()
		r.moved = true
	}
	return r, err
}

// Write implements io.Writer.
func (r *roomy) Write(p []byte) (n int, err error) {
	if !r.moved {
		if n, err = r.File.Write(p); r.full(err) {
			err = r.move()
		}
	}
	if err == nil && r.moved {
		if err = fits(r.size + int64(len(p))); err == nil {
			var m int
			m, err = r.File.Write(p[n:])
			n += m
		}
	}
	r.size += int64(n)
	return n, err
}

// fits returns an error for what is too large to be kept in memory.
func fits(size int64) error {
	if size > maxMemoryFile {
		return fmt.Errorf("%w, and it is too large to be kept in memory", unix.ENOSPC)
	}
	return nil
}

// full reports whether an error is of the disk, and there is another place.
func (r *roomy) full(err error) bool { return cluster.Full(err) && !r.moved && r.elsewhere != nil }

// move takes what has been written elsewhere.
func (r *roomy) move() error {
	if err := fits(r.size); err != nil {
		return err
	}
	to, err := r.elsewhere()
	if err != nil {
		return err
	}
	if _, err = r.Seek(0, io.SeekStart); err == nil {
		_, err = io.Copy(to, r.File)
	}
	r.remove()
	r.File, r.moved = to, true
	return err
}

// remove ends a file that is of no use any more.
func (r *roomy) remove() {
	r.Close()
	if !r.moved {
		os.Remove(r.Name()) // one that had no name is gone already
	}
}
