package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// noFollow keeps an open from going through a symbolic link that was put in a file's place, and from
// waiting for somebody at the other end of a FIFO.
const noFollow = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK

// A place is a name in an open directory. Nothing that is done at a place can leave the directory,
// and paths longer than the kernel takes at once have places too.
type place struct {
	dir  int
	name string
}

// proc is a path that leads to the place through /proc, for calls that take no directory.
func (p place) proc() string { return opened(p.dir) + "/" + p.name }

// rootPlace opens the directory that a tree is in. The caller closes it.
func rootPlace(root string) (place, error) {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return place{}, err
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return place{}, err
	}
	fd, err := unix.Open(filepath.Dir(root), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return place{}, &os.PathError{Op: "open", Path: filepath.Dir(root), Err: err}
	}
	return place{fd, filepath.Base(root)}, nil
}

func (p place) close() { unix.Close(p.dir) }

// statMask is what is asked of an inode.
const statMask = unix.STATX_BASIC_STATS

// stat looks at the inode itself, whatever it is.
func (p place) stat(st *unix.Statx_t) error {
	return retry(func() error {
		return unix.Statx(p.dir, p.name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statMask, st)
	})
}

// open opens what is there, without following a link.
func (p place) open(flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(p.dir, p.name, flags|noFollow, mode)
		return err
	})
	return fd, err
}

// chmod sets the mode of what is at a place, and of nothing that a link there leads to.
func (p place) chmod(mode uint32) error {
	fd, err := p.open(unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return errGone
	}
	return unix.Chmod(opened(fd), mode)
}

// opened is a path that leads to what is open, also where that takes no calls by itself (O_PATH).
func opened(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// openDir opens a directory for reading.
func (p place) openDir() (int, error) { return p.open(unix.O_RDONLY|unix.O_DIRECTORY, 0) }

// file opens a regular file that is there. Anything else is not opened, since even that may do something:
// a device that somebody has put in its place.
func (p place) file(flags int) (*os.File, error) {
	handle, err := p.open(unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(handle)
	var st unix.Stat_t
	if err := unix.Fstat(handle, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errGone
	}
	return os.OpenFile(opened(handle), flags|unix.O_CLOEXEC, 0)
}

// create makes a file.
func (p place) create() (*os.File, error) {
	fd, err := p.open(unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), p.name), nil
}

// names returns the names in an open directory.
func names(fd int) ([]string, error) {
	// A descriptor of its own, so that reading starts at the beginning.
	again, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(again), ".")
	defer d.Close()
	return d.Readdirnames(-1)
}

func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func seenOf(st *unix.Statx_t) seen {
	return seen{st.Ino, moment{st.Ctime.Sec, st.Ctime.Nsec}}
}

func deviceOf(st *unix.Statx_t) uint64 { return unix.Mkdev(st.Dev_major, st.Dev_minor) }

func isDir(st *unix.Statx_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// gone reports whether an error means that a name is no longer what it was a moment ago: somebody
// removed it, or put something else in its place.
func gone(err error) bool {
	for _, kind := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO, unix.ESTALE, errGone} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// errGone: there is something else under a name than there was a moment ago.
var errGone = errors.New("changed while it was read")

// at says of which path of a tree an error is.
func at(path string, err error) error {
	if path == "" {
		path = "."
	}
	return fmt.Errorf("%q: %w", path, err)
}

// refusal marks an error that will be there again the next time.
func refusal(err error) error {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: %w", cluster.ErrRefused, err)
	}
	return err
}

// removeAll removes what is at a place, with all that is below it.
func (p place) removeAll() error {
	err := unix.Unlinkat(p.dir, p.name, 0)
	if errors.Is(err, unix.EPERM) {
		err = p.unlinkLocked(err)
	}
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	var st unix.Statx_t
	if p.stat(&st) != nil || !isDir(&st) {
		return err
	}
	return p.removeDir()
}

// unlinkLocked removes a file that is immutable. Other names of it stay so. Anything else is left alone,
// with the error that there was.
func (p place) unlinkLocked(was error) error {
	f, err := p.file(unix.O_RDONLY)
	if err != nil {
		return was
	}
	defer f.Close()
	fd := int(f.Fd())
	st, err := statOpen(fd)
	if err != nil {
		return err
	}
	if err := unlockFile(fd); err != nil {
		return err
	}
	err = unix.Unlinkat(p.dir, p.name, 0)
	if flags := flagsOf(&st); flags != 0 && (err != nil || st.Nlink > 1) {
		err = errors.Join(err, setFlags(fd, flags))
	}
	return err
}

func (p place) removeDir() error {
	fd, err := p.enterable()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		below, err := names(fd)
		if err != nil {
			return err
		}
		for _, name := range below {
			if err := (place{fd, name}).removeAll(); err != nil {
				return err
			}
		}
		err = unix.Unlinkat(p.dir, p.name, unix.AT_REMOVEDIR)
		if !errors.Is(err, unix.ENOTEMPTY) || len(below) == 0 {
			return err
		}
	}
}

// enterable opens a directory, and makes it one that can be changed: an ordinary user's own may be
// closed to the user, and anybody's may be immutable.
func (p place) enterable() (int, error) {
	if os.Getuid() != 0 {
		_ = p.chmod(0o700) // the open says whether it was of use
	}
	fd, err := p.openDir()
	if err == nil {
		err = unlockFile(fd)
	}
	if err != nil && fd >= 0 {
		unix.Close(fd)
	}
	return fd, err
}

// RemoveAll removes a tree, also one with immutable files in it, or with directories that an ordinary
// user has closed to itself.
func RemoveAll(path string) error {
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	defer unix.Close(dir)
	if err := (place{dir, filepath.Base(path)}).removeAll(); err != nil {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// steps are the names that lead to a directory.
func steps(dir string) []string {
	if dir == "" {
		return nil
	}
	return strings.Split(dir, "/")
}
