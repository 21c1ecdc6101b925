package torture

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// changers are the changes to what is there.
var changers = []change{
	{"write", 10, nil, (*Tree).write},
	{"append", 4, nil, (*Tree).grow},
	{"truncate", 4, nil, (*Tree).truncate},
	{"punch a hole", 3, nil, (*Tree).punch},
	{"remove", 6, nil, func(t *Tree) error { return t.root.RemoveAll(t.pickOther()) }},
	{"rename", 6, nil, (*Tree).rename},
	{"exchange two names", 2, nil, (*Tree).exchange},
	{"replace by a rename", 4, nil, (*Tree).replace},
	{"another kind", 4, nil, (*Tree).anotherKind},
	{"mode", 5, nil, (*Tree).chmod},
	{"owner", 4, func(c Can) bool { return c.Root }, (*Tree).chown},
	{"time", 6, nil, (*Tree).time},
	{"user attribute", 6, func(c Can) bool { return c.User }, func(t *Tree) error { return t.attribute("user.") }},
	{"trusted attribute", 3, func(c Can) bool { return c.Trusted }, func(t *Tree) error { return t.attribute("trusted.") }},
	{"attribute of a link", 2, func(c Can) bool { return c.LinkTrusted }, (*Tree).linkAttribute},
	{"remove an attribute", 3, func(c Can) bool { return c.User }, (*Tree).removeAttribute},
	{"access list", 4, func(c Can) bool { return c.ACL }, func(t *Tree) error { return t.setACL(accessACL, t.pick()) }},
	{"default access list", 3, func(c Can) bool { return c.ACL }, func(t *Tree) error { return t.setACL(defaultACL, t.pickDir()) }},
	{"capability", 3, func(c Can) bool { return c.Capabilities }, (*Tree).capability},
	{"flag", 2, func(c Can) bool { return c.Flags != 0 }, (*Tree).flag},
	{"clear a flag", 2, func(c Can) bool { return c.Flags != 0 }, (*Tree).clearFlag},
}

// pickOther is pick, but never the root.
func (t *Tree) pickOther() string {
	name := t.pick()
	if name == "." {
		return "nothing"
	}
	return name
}

// pickMoved is pickOther, but not on the way to the longest path, which another name would make longer
// than rsync can name.
func (t *Tree) pickMoved() string {
	name := t.pickOther()
	if strings.HasPrefix(name, "deep") {
		return "nothing"
	}
	return name
}

// open opens a file that is there for writing.
func (t *Tree) open(flags int) (*os.File, error) {
	return t.root.OpenFile(t.pickFile(), os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|flags, 0)
}

func (t *Tree) write() error {
	f, err := t.open(0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(t.content(1+t.r.IntN(3000)), t.r.Int64N(info.Size()+1))
	return err
}

func (t *Tree) grow() error {
	f, err := t.open(os.O_APPEND)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(t.content(1 + t.r.IntN(70_000)))
	return err
}

func (t *Tree) truncate() error {
	f, err := t.open(0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return f.Truncate(t.r.Int64N(min(2*info.Size(), 32<<20) + 1))
}

func (t *Tree) punch() error {
	f, err := t.open(0)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, t.r.Int64N(200_000), 1+t.r.Int64N(200_000))
}

func (t *Tree) rename() error {
	to := t.newName()
	if t.r.IntN(3) == 0 {
		to = t.pickOther()
	}
	if strings.HasPrefix(to, "deep") {
		return fs.ErrInvalid
	}
	return t.root.Rename(t.pickMoved(), to)
}

func (t *Tree) exchange() error {
	return t.on(t.pickMoved(), func(one string) error {
		return t.on(t.pickMoved(), func(other string) error {
			return unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
		})
	})
}

// replace is what careful programs do: a new file beside, renamed over the old one. Half of the time
// size and time stay what they were.
func (t *Tree) replace() error {
	name := t.pickFile()
	info, err := t.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
		return fs.ErrInvalid
	}
	beside := filepath.Join(filepath.Dir(name), ".new")
	if err := t.file(beside, int(info.Size())); err != nil {
		return err
	}
	if t.r.IntN(2) == 0 {
		at := unix.Timespec{Sec: info.ModTime().Unix(), Nsec: int64(info.ModTime().Nanosecond())} // Chtimes ends in 2262
		if err := t.on(beside, func(path string) error { return setTime(path, at) }); err != nil {
			return err
		}
	}
	return t.root.Rename(beside, name)
}

// anotherKind makes a name something else than it was.
func (t *Tree) anotherKind() error {
	name := t.pickOther()
	if err := t.root.RemoveAll(name); err != nil {
		return err
	}
	return t.on(name, func(path string) error {
		switch t.r.IntN(5) {
		case 0:
			return os.Mkdir(path, t.dirMode())
		case 1:
			return os.Symlink("elsewhere", path)
		case 2:
			return unix.Mkfifo(path, 0o640)
		case 3:
			return unix.Mknod(path, unix.S_IFSOCK|0o600, 0)
		}
		return os.WriteFile(path, t.content(t.size()), t.fileMode())
	})
}

// fileMode is any, but that an ordinary user must be able to read what is his.
func (t *Tree) fileMode() fs.FileMode {
	if t.can.Root {
		return fs.FileMode(t.r.Uint32N(0o1000))
	}
	return 0o400 | fs.FileMode(t.r.Uint32N(0o1000))
}

func (t *Tree) dirMode() fs.FileMode {
	if t.can.Root {
		return fs.FileMode(t.r.Uint32N(0o1000))
	}
	return 0o500 | fs.FileMode(t.r.Uint32N(0o1000))
}

func (t *Tree) chmod() error {
	name := t.pick()
	info, err := t.root.Lstat(name)
	if err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return fs.ErrInvalid
	}
	mode := t.fileMode()
	if info.IsDir() {
		mode = t.dirMode()
	}
	for _, special := range []fs.FileMode{fs.ModeSetuid, fs.ModeSetgid, fs.ModeSticky} {
		if t.r.IntN(4) == 0 {
			mode |= special
		}
	}
	if name == "." {
		mode |= 0o700
	}
	return t.root.Chmod(name, mode)
}

func (t *Tree) chown() error {
	ids := []int{0, 1, 33, 999, 1000, 65534, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 2}
	return t.root.Lchown(t.pick(), ids[t.r.IntN(len(ids))], ids[t.r.IntN(len(ids))])
}

// time sets one within what all can hold, to the nanosecond.
func (t *Tree) time() error {
	at := unix.Timespec{Sec: t.can.First + t.r.Int64N(t.can.Last-t.can.First+1), Nsec: t.r.Int64N(1e9)}
	switch t.r.IntN(6) {
	case 0:
		at = unix.Timespec{Sec: t.can.First}
	case 1:
		at = unix.Timespec{Sec: t.can.Last}
	case 2:
		at = unix.Timespec{Sec: -1, Nsec: 999_999_999}
	case 3:
		at = unix.Timespec{}
	}
	return t.on(t.pick(), func(path string) error { return setTime(path, at) })
}

func (t *Tree) attribute(prefix string) error {
	size := t.r.IntN(200)
	if t.r.IntN(8) == 0 {
		size = t.r.IntN(t.can.AttributeBytes/3 + 1)
	}
	name := fmt.Sprintf("%s%d", prefix, t.r.IntN(4))
	if t.r.IntN(4) == 0 {
		name = prefix + "\xff any bytes =\n"
	}
	return t.on(t.pick(), func(path string) error { return unix.Lsetxattr(path, name, t.content(size), 0) })
}

func (t *Tree) linkAttribute() error {
	name := t.pickOf(func(m fs.FileMode) bool { return m&fs.ModeSymlink != 0 })
	return t.on(name, func(path string) error { return unix.Lsetxattr(path, "trusted.of-a-link", t.content(30), 0) })
}

// removeAttribute removes one from the first of a few names that has any.
func (t *Tree) removeAttribute() error {
	for range 10 {
		err := t.on(t.pick(), func(path string) error {
			all, err := attributesOf(path)
			if err != nil || len(all) == 0 {
				return fs.ErrNotExist
			}
			names := slices.Sorted(maps.Keys(all))
			return unix.Lremovexattr(path, names[t.r.IntN(len(names))])
		})
		if err == nil {
			return nil
		}
	}
	return fs.ErrNotExist
}

func (t *Tree) setACL(kind, name string) error {
	value := aclOf(1000+t.r.Uint32N(100), uint16(t.r.UintN(8)))
	return t.on(name, func(path string) error {
		if t.r.IntN(3) == 0 {
			return unix.Lremovexattr(path, kind)
		}
		return unix.Lsetxattr(path, kind, value, 0)
	})
}

func (t *Tree) capability() error {
	return t.on(t.pickFile(), func(path string) error {
		return unix.Lsetxattr(path, capabilityName, capability(1<<t.r.UintN(32)), 0)
	})
}

func (t *Tree) flag() error {
	all := []int{flagImmutable, flagAppend, flagNodump, flagNodump | flagImmutable}
	flags := all[t.r.IntN(len(all))] & t.can.Flags
	name := t.pickOf(func(m fs.FileMode) bool { return m.IsRegular() || m.IsDir() }) // as chattr
	if name == "." {
		return fs.ErrInvalid
	}
	return t.on(name, func(path string) error { return setFlags(path, flags) })
}

// clearFlag takes the flags from a few names: most of what is chosen has none.
func (t *Tree) clearFlag() error {
	for range 10 {
		err := t.on(t.pickOther(), func(path string) error {
			if flags, err := flagsOf(path); err != nil || flags == 0 {
				return fs.ErrInvalid
			}
			return setFlags(path, 0)
		})
		if err == nil {
			return nil
		}
	}
	return fs.ErrInvalid
}

// procPath leads to an open file, whatever its name is by now.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
