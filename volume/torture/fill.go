package torture

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fill takes up the space of a node but for a rest, until the function that it returns is called.
func (n *Node) fill(rest int64) (free func() error, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(n.Dir, &st); err != nil {
		return nil, err
	}
	ballast := filepath.Join(n.Dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		return nil, err
	}
	for size := int64(st.Bfree)*st.Bsize - rest; size > 1<<20; size -= size/16 + 1<<20 {
		if err = write(f, size); !errors.Is(err, unix.ENOSPC) {
			break
		}
	}
	if errors.Is(err, unix.ENOSPC) {
		err = nil // as full as it gets
	}
	free = func() error {
		err := os.Remove(ballast)
		if n.Settle != nil {
			n.Settle()
		}
		return err
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, free())
	}
	return free, nil
}

// write takes space for a file, by writing where it can't just be asked for.
func write(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	for at := int64(0); at < size; at += int64(len(noise)) {
		if _, err := f.WriteAt(noise, at); err != nil {
			return err
		}
	}
	return nil
}
