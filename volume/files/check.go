package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// check holds what is at a place against its listing, and returns its present stamp. If that is not
// the listed one the whole entry is looked at, its content too: what is something else now is *Changed.
func (t *tree) check(p place, was *entry) (seen, error) {
	if t.blind {
		return was.seen, nil
	}
	var st unix.Statx_t
	if err := p.stat(&st); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return seen{}, &Changed{Path: was.path, Why: "is gone"}
		}
		return seen{}, at(was.path, err)
	}
	now := entryOf(was.path, &st)
	if was.kind == kindHardlink {
		return was.seen, t.checkLink(&st, was) // its stamp is that of the first name
	}
	if now.kind != was.kind {
		return seen{}, &Changed{Path: was.path, Why: fmt.Sprintf("is %s now, not %s", now.kind, was.kind)}
	}
	if was.kind == kindDir || now.seen == was.seen {
		return now.seen, nil // of a directory, see untouched
	}
	if err := now.complete(p); err != nil {
		return seen{}, at(was.path, err)
	}
	why := differs(was, &now)
	// Each name that a file gets or loses stamps it.
	linked := st.Nlink > 1 && now.seen.ino == was.seen.ino
	if why == "" && was.kind == kindFile && !linked {
		var err error
		if why, err = t.compareContent(p, was); err != nil {
			return seen{}, at(was.path, err)
		}
	}
	if why != "" {
		return seen{}, &Changed{Path: was.path, Why: fmt.Sprintf("%s (%s)", why, now.seen.since(was.seen))}
	}
	return now.seen, nil
}

// errApart: the first name of a hard link was made anew, and the link is to what it was before.
var errApart = errors.New("no longer a name of the same file")

// checkLink looks whether a hard link and its first name are one.
func (t *tree) checkLink(st *unix.Statx_t, was *entry) error {
	first, err := t.statPath(was.target)
	switch {
	case err == nil && first.Ino == st.Ino && deviceOf(&first) == deviceOf(st):
		return nil
	case err != nil && !gone(err):
		return at(was.target, err)
	case st.Ino == was.seen.ino:
		return errApart
	}
	return &Changed{Path: was.path, Why: fmt.Sprintf("is no longer another name of %q", was.target)}
}

// statPath looks at a path of the tree. No link on the way to it is followed.
func (t *tree) statPath(path string) (st unix.Statx_t, err error) {
	dir, name := split(path)
	fd, err := t.dir(dir)
	if err != nil {
		return st, err
	}
	defer unix.Close(fd)
	err = place{fd, name}.stat(&st)
	return st, err
}

// differs says in what an entry is not what its listing says, content left out; empty: in nothing.
func differs(was, now *entry) string {
	switch {
	case now.size != was.size:
		return fmt.Sprintf("has %d bytes, not %d", now.size, was.size)
	case now.mode != was.mode:
		return fmt.Sprintf("has mode %o, not %o", now.mode, was.mode)
	case now.uid != was.uid || now.gid != was.gid:
		return fmt.Sprintf("belongs to %d:%d, not %d:%d", now.uid, now.gid, was.uid, was.gid)
	case now.mtime != was.mtime:
		return fmt.Sprintf("has another time: %s, not %s", now.mtime, was.mtime)
	case now.target != was.target:
		return fmt.Sprintf("leads to %q, not %q", now.target, was.target)
	case now.flags != was.flags:
		return fmt.Sprintf("has flags %#x, not %#x", now.flags, was.flags)
	case now.device != was.device:
		return fmt.Sprintf("is device %#x, not %#x", now.device, was.device)
	}
	return differsIn(was.xattrs, now.xattrs)
}

// differsIn names the attributes that are not as listed, and says what is in those that are permissions.
func differsIn(was, now []attribute) string {
	listed := map[string]string{}
	for _, a := range was {
		listed[a.name] = string(a.value)
	}
	var all []string
	for _, a := range now {
		value, had := listed[a.name]
		delete(listed, a.name)
		switch {
		case !had:
			all = append(all, fmt.Sprintf("%q is new", a.name))
		case value == string(a.value):
		case a.name == accessList || a.name == defaultACL || a.name == capability:
			all = append(all, fmt.Sprintf("%q is %.64x, not %.64x", a.name, a.value, value))
		default:
			all = append(all, fmt.Sprintf("%q is another one", a.name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		all = append(all, fmt.Sprintf("%q is gone", name))
	}
	if len(all) == 0 {
		return ""
	}
	return "has other attributes: " + strings.Join(all, ", ")
}

// compareContent reads a whole file.
func (t *tree) compareContent(p place, was *entry) (why string, err error) {
	f, err := p.file(unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if t.next != nil && !t.cleaned { // else a page that somebody has mapped could take stores without another stamp
		if err := unix.Syncfs(t.disk); err != nil {
			return "", err
		}
		t.cleaned = true
	}
	now := *was
	defer func() { t.runs.of = was.path }()
	if err := readRuns(t.ctx, f, was.size, &t.runs); err != nil {
		return "", err
	}
	if err := t.runs.finish(&now); err != nil {
		return "", err
	}
	if now.sum != was.sum {
		return "has other content", nil
	}
	return "", nil
}

// readRuns reads what a file holds.
func readRuns(ctx context.Context, f *os.File, size int64, into *runs) error {
	into.reset()
	var r reading
	r.start(f, size)
	for r.next() {
		if ctx.Err() != nil {
			return ended{context.Cause(ctx)}
		}
		into.add(r.hash, r.count)
	}
	return r.err
}

// lookedAt are the runs of an entry that check has looked at whole: those that were read, or those of
// the listing where that was not necessary.
func (t *tree) lookedAt(e *entry) *runs {
	if e.kind != kindFile {
		return nil
	}
	if t.runs.blocks == blocksOf(e.size) && t.runs.of == e.path {
		return &t.runs
	}
	t.runs.reset()
	held := blocks{of: t.base}
	for left := blocksOf(e.size); left > 0; {
		h, n, err := held.next(left)
		if err != nil {
			t.runs.err = err
			break
		}
		t.runs.add(h, n)
		left -= n
	}
	copied := *e
	_ = t.runs.finish(&copied) // each returns the error, if there was one
	return &t.runs
}
