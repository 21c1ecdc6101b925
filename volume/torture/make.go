package torture

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makers are the changes that add names.
var makers = []change{
	{"file", 12, nil, func(t *Tree) error { return t.file(t.newName(), t.size()) }},
	{"file of holes", 4, nil, (*Tree).sparse},
	{"directory", 8, nil, func(t *Tree) error { return t.root.Mkdir(t.newName(), t.dirMode()) }},
	{"symbolic link", 5, nil, (*Tree).symlink},
	{"hard link", 5, nil, (*Tree).link},
	{"FIFO", 2, nil, func(t *Tree) error { return t.node(unix.S_IFIFO, 0) }},
	{"socket", 2, nil, func(t *Tree) error { return t.node(unix.S_IFSOCK, 0) }},
	{"device", 2, func(c Can) bool { return c.Root }, (*Tree).device},
	{"many small files", 1, nil, (*Tree).many},
	{"file made without a name", 1, nil, (*Tree).unnamed},
}

// size is one that is at the edge of something, or any.
func (t *Tree) size() int {
	edges := []int{0, 1, 511, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 300_000}
	if t.r.IntN(2) == 0 {
		return edges[t.r.IntN(len(edges))]
	}
	return t.r.IntN(200_000)
}

// content is bytes that do not compress, or zeros, or both.
func (t *Tree) content(size int) []byte {
	b := make([]byte, size)
	switch t.r.IntN(5) {
	case 0: // zeros that are written
	case 1:
		for i := 0; i < len(b)/2; i++ {
			b[i] = byte(i % 251)
		}
	default:
		for i := range b {
			b[i] = byte(t.r.Uint32())
		}
	}
	return b
}

// file makes or replaces the content of a file.
func (t *Tree) file(name string, size int) error {
	f, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, t.fileMode())
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(t.content(size))
	return err
}

// sparse makes a file that is mostly not there.
func (t *Tree) sparse() error {
	f, err := t.root.OpenFile(t.newName(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, t.fileMode())
	if err != nil {
		return err
	}
	defer f.Close()
	size := 1 + t.r.Int64N(24<<20)
	if err := f.Truncate(size); err != nil {
		return err
	}
	for range t.r.IntN(4) {
		if _, err := f.WriteAt(t.content(1+t.r.IntN(5000)), t.r.Int64N(size)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) symlink() error {
	targets := []string{"a", "../../../../etc/passwd", "/", ".", "name-1", "\xff", "nowhere/at all"}
	target := targets[t.r.IntN(len(targets))]
	switch t.r.IntN(5) {
	case 0:
		target = t.pick()
	case 1:
		target = t.bytesName(255)
	case 2:
		for target = ""; len(target) < t.can.LinkBytes; {
			target += "../" + t.bytesName(100)
		}
		target = target[:t.can.LinkBytes]
	}
	return t.on(t.newName(), func(path string) error { return unix.Symlink(target, path) })
}

// link gives one more name to anything but a directory.
func (t *Tree) link() error {
	from := t.pickOf(func(m fs.FileMode) bool { return !m.IsDir() })
	return t.on(from, func(from string) error {
		return t.on(t.newName(), func(to string) error { return unix.Link(from, to) })
	})
}

func (t *Tree) node(kind uint32, device uint64) error {
	return t.on(t.newName(), func(path string) error { return unix.Mknod(path, kind|uint32(t.fileMode()), int(device)) })
}

func (t *Tree) device() error {
	kind := []uint32{unix.S_IFCHR, unix.S_IFBLK}[t.r.IntN(2)]
	return t.node(kind, unix.Mkdev(t.r.Uint32N(1<<9), t.r.Uint32N(1<<18))) // as far as xfs goes
}

func (t *Tree) many() error {
	dir := t.newName()
	if err := t.root.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for range 20 + t.r.IntN(80) {
		if err := t.file(filepath.Join(dir, t.bytesName(2)), t.r.IntN(100)); err != nil {
			continue
		}
	}
	return nil
}

// unnamed makes a file that gets its name when it is written, as careful programs do.
func (t *Tree) unnamed() error {
	return t.on(filepath.Join(t.pickDir(), "x"), func(path string) error {
		f, err := os.OpenFile(filepath.Dir(path), os.O_WRONLY|unix.O_TMPFILE, 0o640)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.Write(t.content(t.size())); err != nil {
			return err
		}
		return t.on(t.newName(), func(to string) error {
			return unix.Linkat(unix.AT_FDCWD, procPath(f), unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW)
		})
	})
}
