package files

import (
	"errors"
	"fmt"
	"os"

	"github.com/drover/drover/cluster"
	"golang.org/x/sys/unix"
)

// A level is a directory that is being gone through.
type level struct {
	path string
	at   place
	fd   int
	// entry is what the directory is to be when it is left.
	entry entry
	// found is what it was when it was entered, listed what its listing says it was, and was the
	// stamp there, which is known when all that is in it has been seen to. Nil: it was not listed.
	found, listed *entry
	was           *seen
	names         int  // how many names it is to have
	dirty         bool // its attributes are to be set again
	open          bool // it can be changed
	fresh         bool
	inherits      bool // what is made in it gets an access list of it by itself
	counted       bool // its names have to be counted in any case
}

func (t *tree) top() *level { return t.levels[len(t.levels)-1] }

// count notes a name of the present directory.
func (t *tree) count() {
	if len(t.levels) > 0 {
		t.top().names++
	}
}

// enter goes into a directory, which is to be e.
func (t *tree) enter(p place, e *entry, l *level) error {
	if len(t.levels) > maxDepth {
		return at(e.path, fmt.Errorf("%w: more than %d directories within each other", cluster.ErrUnsupported, maxDepth))
	}
	fd, err := p.openDir()
	if errors.Is(err, unix.EACCES) {
		// An ordinary user's own, which is closed to the user.
		if err = p.chmod(e.mode | 0o700); err == nil {
			l.dirty = true
			fd, err = p.openDir()
		}
	}
	if err != nil {
		return at(e.path, refusal(err))
	}
	l.path, l.at, l.fd, l.entry = e.path, p, fd, *e
	l.inherits = !l.fresh && (l.listed == nil && e.has(defaultACL) || l.listed != nil && l.listed.has(defaultACL))
	if l.found == nil {
		var st unix.Statx_t
		if err := p.stat(&st); err != nil {
			unix.Close(fd)
			return at(e.path, err)
		}
		found := entryOf(e.path, &st)
		l.found, l.listed = &found, &l.entry
	}
	t.levels = append(t.levels, l)
	if t.disk < 0 {
		t.disk, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	return err
}

// touch makes the present directory one that can be changed.
func (t *tree) touch() error {
	l := t.top()
	l.dirty = true
	if l.open {
		return nil
	}
	l.open = true
	if err := unlockFile(l.fd); err != nil {
		return at(l.path, refusal(err))
	}
	if os.Getuid() == 0 {
		return nil
	}
	if err := unix.Fchmod(l.fd, l.entry.mode|0o700); err != nil {
		return at(l.path, refusal(err))
	}
	return nil
}

// settle leaves the directories that do not lead to a path, or all of them.
func (t *tree) settle(path string, all bool) error {
	for len(t.levels) > 0 {
		l := t.top()
		if !all && below(path, l.path) {
			return nil
		}
		if err := t.leave(l); err != nil {
			return err
		}
		unix.Close(l.fd)
		t.levels = t.levels[:len(t.levels)-1]
	}
	return nil
}

// leave ends a directory: no name is in it that is not listed, and it is what it is to be.
func (t *tree) leave(l *level) error {
	if err := t.untouched(l); err != nil {
		return err
	}
	if !l.dirty {
		if t.next == nil || (t.next.w == nil && l.was != nil && l.found.seen == *l.was) {
			return t.next.keep(record{kind: recordLeave})
		}
		return t.next.leave(l.found.seen)
	}
	if !l.fresh {
		err := unlockFile(l.fd)
		if err == nil && os.Getuid() != 0 { // who may not write may not set attributes either
			err = unix.Fchmod(l.fd, l.entry.mode|0o700)
		}
		if err != nil {
			return at(l.path, refusal(err))
		}
	}
	if err := setAll(l.fd, &l.entry, l.fresh); err != nil {
		return at(l.path, t.explain(err))
	}
	if err := t.changed(l.fd); err != nil {
		return err
	}
	now, err := asSet(l.at, l.fd, &l.entry)
	if err != nil {
		return at(l.path, err)
	}
	return t.next.leave(now)
}

// untouched reports what was done to a directory from outside: what is in it was held against the
// listing name by name already, so another name is one too many.
func (t *tree) untouched(l *level) error {
	if t.blind || (l.was != nil && l.found.seen == *l.was) || (l.was == nil && !l.counted) {
		return nil
	}
	all, err := names(l.fd)
	if err != nil {
		return at(l.path, err)
	}
	if len(all) != l.names {
		return &Changed{Path: l.path, Why: fmt.Sprintf("has %d names, not %d", len(all), l.names)}
	}
	if l.was == nil {
		return nil
	}
	found := *l.found
	if found.xattrs, err = readAttributes(holder{opened(l.fd), true}); err != nil {
		return at(l.path, err)
	}
	if why := differs(l.listed, &found); why != "" {
		return &Changed{Path: l.path, Why: why}
	}
	return nil
}
