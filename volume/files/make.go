package files

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// make makes what is missing. Was is what there is of the same kind: a file or a directory.
func (t *tree) make(p place, e, was *entry) error {
	if e.path != "" {
		if err := t.touch(); err != nil {
			return err
		}
	}
	switch e.kind {
	case kindDir:
		return t.makeDir(p, e, was)
	case kindFile:
		return t.openFile(p, e, was)
	}
	if err := t.makeOther(p, e); err != nil {
		return err
	}
	if err := describe(p, e, !t.top().inherits); err != nil {
		return err
	}
	return t.next.put(e, nil)
}

// describe sets all about a name that has no content, and notes its stamp.
func describe(p place, e *entry, fresh bool) error {
	fd, err := p.open(unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := statOpen(fd)
	if err != nil {
		return err
	}
	if now := entryOf(e.path, &st); e.kind != kindHardlink && now.kind != e.kind {
		return errGone
	}
	switch e.kind {
	case kindHardlink:
	case kindSymlink:
		err = setLink(p, fd, e, fresh)
	default:
		err = setAll(fd, e, fresh)
	}
	if err == nil {
		e.seen, err = asSet(p, fd, e)
	}
	return err
}

func (t *tree) makeDir(p place, e, was *entry) error {
	l := &level{dirty: true, counted: was == nil}
	if was == nil && e.path != "" {
		if err := unix.Mkdirat(p.dir, p.name, 0o700); err != nil {
			return err
		}
		l.fresh = true
		if t.top().inherits { // and so would all that is made in it
			if err := setAttributes(holder{p.proc(), false}, &entry{}, false); err != nil {
				return err
			}
		}
	}
	if was != nil {
		var st unix.Statx_t
		if err := p.stat(&st); err != nil {
			return err
		}
		found, listed := entryOf(e.path, &st), *was
		l.found, l.listed = &found, &listed
	}
	if err := t.enter(p, e, l); err != nil {
		return err
	}
	if err := t.next.put(e, nil); err != nil {
		return err
	}
	if was != nil {
		return t.advance()
	}
	return nil
}

// makeOther makes a name that has no content.
func (t *tree) makeOther(p place, e *entry) error {
	switch e.kind {
	case kindSymlink:
		return unix.Symlinkat(e.target, p.dir, p.name)
	case kindHardlink:
		return t.link(p, e.target)
	}
	mode := map[kind]uint32{kindFIFO: unix.S_IFIFO, kindSocket: unix.S_IFSOCK, kindChar: unix.S_IFCHR, kindBlock: unix.S_IFBLK}[e.kind]
	err := unix.Mknodat(p.dir, p.name, mode|0o600, int(e.device))
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w: %s cannot be made here: %w", cluster.ErrUnsupported, e.kind, err)
	}
	return err
}

// link makes another name of an earlier entry. No link on the way to that is followed.
func (t *tree) link(p place, target string) error {
	dir, name := split(target)
	if compare(target, t.last) >= 0 {
		return fmt.Errorf("%w: a hard link to %q, which comes later", cluster.ErrInvalid, target)
	}
	fd, err := t.dir(dir)
	if err != nil {
		return at(target, err)
	}
	defer unix.Close(fd)
	err = unix.Linkat(fd, name, p.dir, p.name, 0)
	if errors.Is(err, unix.EPERM) {
		// An immutable file takes no other name; it is locked again when all is in its place.
		first := place{fd, name}
		var st unix.Statx_t
		if first.stat(&st) == nil && first.unlock() == nil {
			t.relock = append(t.relock, locked{target, flagsOf(&st)})
			err = unix.Linkat(fd, name, p.dir, p.name, 0)
		}
	}
	return err
}

// A locked is a file that is to have flags again.
type locked struct {
	path  string
	flags uint32
}

func (t *tree) lockAgain() error {
	for _, l := range t.relock {
		dir, name := split(l.path)
		fd, err := t.dir(dir)
		if err != nil {
			return at(l.path, err)
		}
		f, err := place{fd, name}.file(unix.O_RDONLY)
		unix.Close(fd)
		if err == nil {
			err = errors.Join(setFlags(int(f.Fd()), l.flags), f.Close())
		}
		if err != nil {
			return at(l.path, err)
		}
	}
	return nil
}

// dir opens a directory of the tree. No link on the way to it is followed.
func (t *tree) dir(path string) (int, error) {
	fd, err := t.root.openDir()
	if err != nil {
		return -1, err
	}
	for _, step := range steps(path) {
		next, err := place{fd, step}.openDir()
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

// setAll sets owner, attributes, mode, time and flags, in this order: a change of owner clears the
// setuid bit and capabilities, and an immutable file takes nothing any more. All of it is done to what
// is open, and not to what may be in its place meanwhile.
func setAll(fd int, e *entry, fresh bool) error {
	if err := setOwner(fd, e); err != nil {
		return err
	}
	if err := setAttributes(holder{opened(fd), true}, e, fresh); err != nil {
		return err
	}
	if err := unix.Chmod(opened(fd), e.mode); err != nil {
		return err
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, opened(fd), e.times(), 0); err != nil {
		return err
	}
	if e.kind != kindFile && e.kind != kindDir {
		return nil
	}
	// What is made in a directory inherits some of its flags.
	st, err := statOpen(fd)
	if err != nil || flagsOf(&st) == e.flags {
		return err
	}
	if err := setFlags(fd, e.flags); err != nil {
		return fmt.Errorf("%w: its flags cannot be set here: %w", cluster.ErrUnsupported, err)
	}
	return nil
}

// setLink is setAll for a symbolic link, which has neither a mode nor flags.
func setLink(p place, fd int, e *entry, fresh bool) error {
	if err := setOwner(fd, e); err != nil {
		return err
	}
	if err := setAttributes(holder{p.proc(), false}, e, fresh); err != nil {
		return err
	}
	return unix.UtimesNanoAt(p.dir, p.name, e.times(), unix.AT_SYMLINK_NOFOLLOW)
}

func (e *entry) times() []unix.Timespec {
	return []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: e.mtime.sec, Nsec: int64(e.mtime.nsec)}}
}

func statOpen(fd int) (st unix.Statx_t, err error) {
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH, statMask, &st)
	return st, err
}

// setOwner gives an entry to its owner. An ordinary user can give it to the user's own groups only.
func setOwner(fd int, e *entry) error {
	err := unix.Fchownat(fd, "", int(e.uid), int(e.gid), unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.EPERM) && os.Getuid() != 0 {
		return fmt.Errorf("%w: it belongs to user %d and group %d, and only root can give it to them", cluster.ErrUnsupported, e.uid, e.gid)
	}
	return err
}

// asSet returns the stamp of what was just set, and an error if the file system here could not take
// its time, or if something else has its name now.
func asSet(p place, fd int, e *entry) (seen, error) {
	st, err := statOpen(fd)
	if err != nil {
		return seen{}, err
	}
	if now := (moment{st.Mtime.Sec, st.Mtime.Nsec}); now != e.mtime && e.kind != kindHardlink {
		return seen{}, fmt.Errorf("%w: the file system here cannot hold its time, %s", cluster.ErrUnsupported, e.mtime)
	}
	var named unix.Statx_t
	if err := p.stat(&named); err != nil || named.Ino != st.Ino || deviceOf(&named) != deviceOf(&st) {
		return seen{}, &Changed{Path: e.path, Why: "was replaced while it arrived"}
	}
	return seenOf(&st), nil
}
