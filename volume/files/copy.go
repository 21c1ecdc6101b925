package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Copy copies a tree into an empty directory. Blocks are shared where the file system can; elsewhere
// holes stay holes.
func Copy(ctx context.Context, from, to string) error {
	if err := syncFileSystem(from); err != nil {
		return fmt.Errorf("write back %s: %w", from, err)
	}
	base, err := openItems("")
	if err != nil {
		return err
	}
	t, err := openTree(to, base)
	if err != nil {
		return err
	}
	defer t.close()
	// The walk sends what it finds, and leaves out the blocks.
	links := map[inode]string{}
	w := &walker{ctx: ctx, leave: func(string, seen) error { return nil }}
	w.visit = func(p place, path string, st *unix.Statx_t) (bool, error) {
		e := entryOf(path, st)
		id := inode{deviceOf(st), st.Ino}
		several := st.Nlink > 1 && e.kind != kindDir
		if first, again := links[id]; several && again {
			e = entry{path: path, kind: kindHardlink, target: first}
			return false, t.put(&e)
		}
		if err := e.complete(p); err != nil {
			return false, err
		}
		if several {
			links[id] = path
		}
		if e.kind != kindFile {
			return e.kind == kindDir, t.put(&e)
		}
		return false, t.copyFile(p, &e)
	}
	if err := w.walk(from); err != nil {
		return err
	}
	return t.finish()
}

// CanShare reports whether files in two directories of one file system can share blocks.
func CanShare(dir string) bool {
	one, err := os.CreateTemp(dir, ".share-")
	if err != nil {
		return false
	}
	defer os.Remove(one.Name())
	defer one.Close()
	two, err := os.CreateTemp(dir, ".share-")
	if err != nil {
		return false
	}
	defer os.Remove(two.Name())
	defer two.Close()
	_, err = one.Write(make([]byte, blockSize))
	return err == nil && unix.IoctlFileClone(int(two.Fd()), int(one.Fd())) == nil
}

func (t *tree) copyFile(p place, e *entry) error {
	source, err := p.file(unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer source.Close()
	st, err := statOpen(int(source.Fd()))
	if err != nil {
		return err
	}
	if st.Ino != e.ino {
		return errGone
	}
	if err := t.put(e); err != nil {
		return err
	}
	if unix.IoctlFileClone(int(t.file.f.Fd()), int(source.Fd())) == nil {
		return t.file.f.Truncate(e.size) // it may have grown since it was looked at
	}
	return copyData(t.file.f, source, e.size)
}

// copyData copies what is no hole.
func copyData(to, from *os.File, size int64) error {
	for at := int64(0); at < size; {
		start, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		end := size
		if err != nil {
			start = at // a file system that knows of no holes
		} else if end, err = unix.Seek(int(from.Fd()), start, unix.SEEK_HOLE); err != nil {
			end = size
		}
		end = min(end, size)
		if start >= end {
			return nil
		}
		for _, f := range []*os.File{from, to} {
			if _, err := f.Seek(start, io.SeekStart); err != nil {
				return err
			}
		}
		if _, err := io.CopyN(to, from, end-start); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		at = end
	}
	return nil
}
