package files

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// A tree is the files of a replica while a stream is applied to them, in the order of a walk: what
// the stream does not tell of is held against the listing, and kept. It never touches anything
// outside its root, whatever the stream says and whatever links are below it.
type tree struct {
	ctx  context.Context // ends the looking at what there is
	root place
	base *items     // what there is; its present entry is the next that has not been seen to
	next *successor // what there will be; nil if nobody wants to know
	// levels are the directories that lead to where we are, from the root on.
	levels []*level
	last   string // the path that was seen to last
	begun  bool   // last is one
	file   *writing
	runs   runs
	// blind: what is there is not looked at any more. After an error all that counts is to say what
	// is known.
	blind bool
	// anew are the names that were removed and made again in this stream: what was another name of one of
	// them is to be so again.
	anew map[string]bool
	// resumed: an earlier stream may have made some so.
	resumed bool
	// unsure: what was begun last has failed half way, so nobody knows what there is of it.
	unsure bool

	relock   []locked // files that were unlocked to be linked to
	unsynced []int    // descriptors of what was changed
	syncAll  bool     // they are too many: the whole file system is synced
	cleaned  bool     // all that was dirty when we began is written back
	disk     int      // the root, open since before anything was written, so that no error of that passes by; or none
}

func openTree(root string, base *items) (*tree, error) {
	p, err := rootPlace(root)
	if err != nil {
		return nil, err
	}
	return &tree{ctx: context.Background(), root: p, base: base, anew: map[string]bool{}, disk: -1}, nil
}

func (t *tree) close() {
	if t.next != nil {
		t.next.abandon()
	}
	if t.file != nil {
		t.file.f.Close()
	}
	for _, l := range t.levels {
		unix.Close(l.fd)
	}
	for _, fd := range append(t.unsynced, t.disk) {
		unix.Close(fd)
	}
	t.runs.reset()
	t.root.close()
}

// finish keeps the rest of the tree and makes everything durable.
func (t *tree) finish() error {
	if err := t.rest(); err != nil {
		return err
	}
	return t.sync()
}

// stop writes down what there is after a stream that broke off, and reports whether it could: else
// the files have to be surveyed.
func (t *tree) stop() bool {
	if t.unsure {
		return false
	}
	t.blind = true
	t.ctx = context.Background()
	err := t.rest()
	if err == nil {
		err = t.sync()
	}
	if err == nil {
		_, err = t.next.close(t.base.l.sum)
	}
	return err == nil
}

func (t *tree) rest() error {
	if err := t.finishFile(); err != nil {
		return err
	}
	for t.base.e != nil {
		if err := t.keep(); err != nil {
			return err
		}
	}
	if err := t.settle("", true); err != nil {
		return err
	}
	return t.lockAgain()
}

// upTo keeps what comes before a path, or the path itself too.
func (t *tree) upTo(path string, itself bool) error {
	if err := t.finishFile(); err != nil {
		return err
	}
	for t.base.before(path) || (itself && t.base.at(path) != nil) {
		if err := t.keep(); err != nil {
			return err
		}
	}
	return nil
}

// reach goes to the directory of a path, which has to come behind all that was seen to before. What was being
// looked at as the context ended comes again.
func (t *tree) reach(path string) (place, error) {
	if order := compare(t.last, path); t.begun && (order > 0 || order == 0 && !t.blind) {
		return place{}, fmt.Errorf("%w: a stream has %q behind %q", cluster.ErrInvalid, path, t.last)
	}
	if err := t.settle(path, false); err != nil {
		return place{}, err
	}
	t.last, t.begun = path, true
	if path == "" {
		return t.root, nil
	}
	dir, name := split(path)
	if len(t.levels) == 0 || t.top().path != dir {
		return place{}, fmt.Errorf("%w: a stream has %q, and no directory for it", cluster.ErrInvalid, path)
	}
	return place{t.top().fd, name}, nil
}

// keep takes over the next entry of the base as it is.
func (t *tree) keep() error {
	if t.ctx.Err() != nil {
		return ended{context.Cause(t.ctx)}
	}
	e := *t.base.e
	p, err := t.reach(e.path)
	if err != nil {
		return err
	}
	t.count()
	now, err := t.check(p, &e)
	if errors.Is(err, errApart) && (t.resumed || t.anew[e.target]) {
		return t.linkAgain(p, &e)
	}
	if errors.Is(err, errApart) {
		err = &Changed{Path: e.path, Why: fmt.Sprintf("is no longer another name of %q", e.target)}
	}
	if err != nil {
		return err
	}
	switch {
	case e.kind == kindDir:
		if err = t.enter(p, &e, &level{}); err == nil {
			err = t.next.keep(record{recordEntry, t.base.raw})
		}
	case now == e.seen:
		err = t.takeOver()
	default:
		// It was looked at whole, and is what it was: from now on it is known by its new stamp.
		e.seen = now
		err = t.next.put(&e, t.lookedAt(&e))
	}
	if err != nil {
		return err
	}
	return t.advance()
}

// linkAgain makes a hard link anew whose first name is another inode than before.
func (t *tree) linkAgain(p place, e *entry) error {
	if err := t.remove(p, e.path); err != nil {
		return err
	}
	if err := t.make(p, e, nil); err != nil {
		return at(e.path, t.explain(err))
	}
	return t.advance()
}

// takeOver keeps the present entry of the base, with its runs.
func (t *tree) takeOver() error {
	err := t.next.keep(record{recordEntry, t.base.raw})
	for err == nil {
		r, ok, runErr := t.base.run()
		if runErr != nil || !ok {
			return runErr
		}
		err = t.next.keep(r)
	}
	return err
}

// advance goes on to the next entry of the base, and tells the directories that end there how they
// were left.
func (t *tree) advance() error {
	err := t.base.advance()
	for _, left := range t.base.left {
		for _, l := range t.levels {
			if l.path == left.path {
				l.was = &left.seen
			}
		}
	}
	t.base.left = nil
	return err
}

// surely does what leaves nobody sure of what there is if it fails.
func (t *tree) surely(do func() error) error {
	t.unsure = true
	err := do()
	t.unsure = err != nil && !errors.As(err, new(ended))
	return err
}

// ended is the error of a context that has ended where nothing was half done: between two entries of the base, or
// while one was looked at.
type ended struct{ error }

func (e ended) Unwrap() error { return e.error }

// delete removes a name of the base with all that is below it.
func (t *tree) delete(path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if err := t.upTo(path, false); err != nil {
		return err
	}
	if t.base.at(path) == nil {
		return fmt.Errorf("%w: a stream deletes %q, which is not there", cluster.ErrInvalid, path)
	}
	p, err := t.reach(path)
	if err != nil {
		return err
	}
	if err := t.remove(p, path); err != nil {
		return err
	}
	return t.passDeleted(path)
}

func (t *tree) remove(p place, path string) error {
	if err := t.touch(); err != nil {
		return err
	}
	if err := p.removeAll(); err != nil {
		return at(path, err)
	}
	return t.next.change()
}

// passDeleted goes past the present entry of the base and all that was below it.
func (t *tree) passDeleted(path string) error {
	err := t.advance()
	for err == nil && t.base.e != nil && below(t.base.e.path, path) {
		err = t.advance()
	}
	return err
}

// put makes a name what e says, except for the content of a file, which follows block by block.
func (t *tree) put(e *entry) error {
	if err := t.upTo(e.path, false); err != nil {
		return err
	}
	p, err := t.reach(e.path)
	if err != nil {
		return err
	}
	t.count()
	was := t.base.at(e.path)
	if was != nil {
		if _, err := t.check(p, was); err != nil && !errors.Is(err, errApart) {
			return err
		}
		if was.kind != e.kind || (e.kind != kindFile && e.kind != kindDir) {
			if err := t.remove(p, e.path); err != nil {
				return err
			}
			t.anew[e.path] = true
			if err := t.passDeleted(e.path); err != nil {
				return err
			}
			was = nil
		}
	}
	if err := t.next.change(); err != nil {
		return err
	}
	if err := t.make(p, e, was); err != nil {
		return at(e.path, t.explain(err))
	}
	return nil
}

// explain makes of an error what it means here.
func (t *tree) explain(err error) error {
	switch {
	case errors.Is(err, unix.EEXIST):
		return &Changed{Path: t.last, Why: "is there, and is not listed"}
	case errors.Is(err, unix.ENAMETOOLONG):
		return fmt.Errorf("%w: the file system here takes no name or link of that length", cluster.ErrUnsupported)
	}
	return refusal(err)
}

// keepOpen is up to how many changed files are synced each by itself. For more, one sync of the file
// system costs less, but waits for what others have written too.
const keepOpen = 64

// changed notes that an open file or directory has to be synced.
func (t *tree) changed(fd int) error {
	if t.syncAll {
		return nil
	}
	if len(t.unsynced) == keepOpen {
		for _, fd := range t.unsynced {
			unix.Close(fd)
		}
		t.unsynced, t.syncAll = nil, true
		return nil
	}
	again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		t.unsynced = append(t.unsynced, again)
	}
	return err
}

func (t *tree) sync() error {
	if t.syncAll {
		return os.NewSyscallError("syncfs", unix.Syncfs(t.disk))
	}
	var group errgroup.Group
	for _, fd := range t.unsynced {
		group.Go(func() error { return unix.Fsync(fd) })
	}
	return group.Wait()
}
