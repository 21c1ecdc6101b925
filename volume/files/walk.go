package files

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// A walker visits every name of a tree in the order of compare. The tree may change while it does: a
// name that is gone when its turn comes is left out.
type walker struct {
	ctx context.Context
	// still: nobody changes the tree, so nothing may be gone.
	still bool
	// visit is called for each name; enter says whether to go into a directory. What it returns that
	// is gone leaves the name out.
	visit func(p place, path string, st *unix.Statx_t) (enter bool, err error)
	// leave is called behind all that is in a directory, with the directory as it was when it was entered.
	leave func(path string, at seen) error
}

// maxTries bounds how often a name is looked at that is another file each time.
const maxTries = 10

// maxDepth bounds how deep directories are nested: each level that is open takes a descriptor.
const maxDepth = 2100 // PATH_MAX allows for 2048

func (w *walker) walk(root string) error {
	p, err := rootPlace(root)
	if err != nil {
		return err
	}
	defer p.close()
	var st unix.Statx_t
	if err := p.stat(&st); err != nil {
		return fmt.Errorf("look at %s: %w", root, err)
	}
	return w.name(p, "", &st, 0)
}

func (w *walker) name(p place, path string, st *unix.Statx_t, depth int) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if depth > maxDepth {
		return at(path, fmt.Errorf("%w: more than %d directories within each other", cluster.ErrUnsupported, maxDepth))
	}
	enter, err := w.visit(p, path, st)
	for try := 1; gone(err) && !w.still && p.stat(st) == nil; try++ {
		// Most likely somebody has put another file in its place, as careful programs do.
		if try > maxTries {
			return at(path, fmt.Errorf("%w: it is another file each time that it is looked at: %v", cluster.ErrUnavailable, err))
		}
		enter, err = w.visit(p, path, st)
	}
	if err != nil {
		return w.passed(path, err)
	}
	if !enter {
		return nil
	}
	return w.dir(p, path, st, depth)
}

// passed returns nil for a name that is gone, where it may be.
func (w *walker) passed(path string, err error) error {
	if !gone(err) {
		return at(path, refusal(err))
	}
	if w.still {
		return at(path, fmt.Errorf("%w: somebody writes to a volume that is closed: %w", cluster.ErrConflict, err))
	}
	return nil
}

func (w *walker) dir(p place, path string, st *unix.Statx_t, depth int) error {
	fd, err := p.openDir()
	var all []string
	if err == nil {
		defer unix.Close(fd)
		all, err = names(fd)
	}
	if err != nil {
		if err := w.passed(path, err); err != nil {
			return err
		}
		all = nil // it is told as empty; the next look tells what it is then
	}
	slices.Sort(all)
	for found := range w.look(fd, all) {
		below := join(path, found.name)
		if found.err != nil {
			if err := w.passed(below, found.err); err != nil {
				return err
			}
			continue
		}
		if err := w.name(place{fd, found.name}, below, &found.st, depth+1); err != nil {
			return err
		}
	}
	return w.leave(path, seenOf(st))
}

// found is a name and what a look at it told.
type found struct {
	name string
	st   unix.Statx_t
	err  error
}

// lookAhead is how many names are looked at beside what is done with those before them.
const lookAhead = 256

// look yields the names with what they are. Of a large directory the next names are looked at meanwhile.
func (w *walker) look(fd int, all []string) func(yield func(*found) bool) {
	chunk := func(names []string, into []found) []found {
		into = into[:len(names)]
		for i, name := range names {
			into[i].name = name
			into[i].err = place{fd, name}.stat(&into[i].st)
		}
		return into
	}
	return func(yield func(*found) bool) {
		size := min(lookAhead, len(all))
		now, spare := make([]found, size), []found(nil)
		if len(all) > size {
			spare = make([]found, size)
		}
		now = chunk(all[:size], now)
		for rest := all[size:]; ; {
			n := min(lookAhead, len(rest))
			next := make(chan []found, 1)
			if n > 0 {
				go func(names []string) { next <- chunk(names, spare) }(rest[:n])
			} else {
				next <- nil
			}
			for i := range now {
				if !yield(&now[i]) {
					<-next // it reads the directory
					return
				}
			}
			if n == 0 {
				return
			}
			now, spare, rest = <-next, now[:cap(now)], rest[n:]
		}
	}
}
