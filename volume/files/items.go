package files

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
)

// items are the entries of a listing, one after the other.
type items struct {
	path string
	l    *listingReader
	// e is the present entry, nil at the end. The runs of a file follow it.
	e *entry
	// raw is the record of e.
	raw []byte
	// left are the directories that end before e and that nobody has taken note of yet, the
	// deepest first.
	left []left
	open []int // directories that have not ended, as the lengths of their paths: all lead to e

	ahead record // read, and not used yet
	has   bool
	runs  int64 // blocks of the present entry that no record has told of yet
	last  byte  // what the record before was
	full  bool  // that was one of blocks, and as long as they become
}

// left is the end of a directory in a listing.
type left struct {
	path string
	seen seen
}

// openItems opens a listing at its first entry.
func openItems(path string) (*items, error) {
	l, err := openListing(path)
	if err != nil {
		return nil, err
	}
	i := &items{path: path, l: l}
	if err := i.advance(); err != nil {
		l.close()
		return nil, err
	}
	return i, nil
}

func (i *items) close() { i.l.close() }

// under lets a context end the reading.
func (i *items) under(ctx context.Context) { i.l.ctx = ctx }

// peek returns the next record without using it up. Its kind is recordEnd at the end.
func (i *items) peek() (record, error) {
	if i.has {
		return i.ahead, nil
	}
	r, err := i.l.next()
	if errors.Is(err, io.EOF) {
		r, err = record{kind: recordEnd}, nil
	}
	if err == nil {
		err = i.bound(r)
	}
	i.ahead, i.has = r, err == nil
	return r, err
}

// bound holds a record of runs against the file that it is of: it tells of blocks that the file has, and two
// that could be one are none of ours. So nobody can make much of a file that is small.
func (i *items) bound(r record) error {
	d, n := decoder{b: r.payload}, int64(0)
	switch r.kind {
	case recordBlocks:
		n = int64(len(r.payload) / len(zeroHash))
	case recordZeros:
		n = int64(d.uvarint())
	default:
		i.last = r.kind
		return nil
	}
	if again := i.last == r.kind && !i.full; n < 1 || n > i.runs || d.bad || again {
		return i.l.invalid()
	}
	i.last, i.full = r.kind, n == maxHashes && r.kind == recordBlocks
	i.runs -= n
	return nil
}

// run returns the next record of runs of the present entry, if there is one.
func (i *items) run() (r record, ok bool, err error) {
	r, err = i.peek()
	if err != nil || (r.kind != recordBlocks && r.kind != recordZeros) {
		return record{}, false, err
	}
	i.has = false
	return r, true, nil
}

// advance goes to the next entry.
func (i *items) advance() error {
	for {
		r, err := i.peek()
		if err != nil {
			return err
		}
		i.has = false
		switch r.kind {
		case recordEntry:
			return i.entry(r)
		case recordBlocks, recordZeros:
		case recordLeave:
			d := decoder{b: r.payload}
			s := d.seen()
			n := len(i.open)
			if n == 0 || d.bad {
				return i.l.invalid()
			}
			i.left = append(i.left, left{i.e.path[:i.open[n-1]], s})
			i.open = i.open[:n-1]
		case recordEnd:
			i.e, i.has, i.ahead = nil, true, r
			return nil
		default:
			return i.l.invalid()
		}
	}
}

func (i *items) entry(r record) error {
	e, err := parseListed(r.payload)
	if err != nil {
		return err
	}
	if err := i.follows(e.path); err != nil {
		return err
	}
	if e.kind == kindDir {
		i.open = append(i.open, len(e.path))
	}
	i.e, i.raw = &e, append(i.raw[:0], r.payload...)
	i.runs = 0
	if e.kind == kindFile {
		i.runs = blocksOf(e.size)
	}
	return nil
}

// follows reports whether a path may come now: behind the present entry, in the directory that has not
// ended.
func (i *items) follows(path string) error {
	if i.e == nil {
		if path != "" {
			return i.l.invalid()
		}
		return nil
	}
	n, dir := len(i.open), ""
	if path != "" {
		dir, _ = split(path)
	}
	if compare(i.e.path, path) >= 0 || n == 0 || n > maxDepth || i.e.path[:i.open[n-1]] != dir {
		return fmt.Errorf("%w: a listing has %q behind %q", cluster.ErrInvalid, path, i.e.path)
	}
	return nil
}

// at returns the present entry if it has that path.
func (i *items) at(path string) *entry {
	if i.e != nil && i.e.path == path {
		return i.e
	}
	return nil
}

// before reports whether the present entry comes before a path.
func (i *items) before(path string) bool { return i.e != nil && compare(i.e.path, path) < 0 }

// skipBelow goes past all that is in a directory.
func (i *items) skipBelow(path string) error {
	for i.e != nil && below(i.e.path, path) {
		if err := i.advance(); err != nil {
			return err
		}
	}
	return nil
}
