package files

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// A successor is the listing that follows another one, record by record. As long as nothing has
// changed it is not written at all: of a million files that nobody has touched there is nothing new
// to say. A nil successor is of nothing.
type successor struct {
	base string // the listing before
	save string
	header
	elsewhere func() (*os.File, error) // where it goes if there is no room at save; nil: nowhere
	kept      int64                    // records of base that are in this one as they are, from its first
	w         *listingWriter
}

// keep takes over the next record of the listing before.
func (s *successor) keep(r record) error {
	if s == nil {
		return nil
	}
	if s.w == nil {
		s.kept++
		return nil
	}
	return s.w.record(r)
}

// change makes the listing differ from the one before from here on.
func (s *successor) change() error {
	if s == nil {
		return nil
	}
	if s.w != nil {
		return nil
	}
	w, err := newListing(s.save, s.header, s.elsewhere)
	if err != nil {
		return err
	}
	before, err := openListing(s.base)
	if err != nil {
		return errors.Join(err, w.abandon())
	}
	defer before.close()
	for range s.kept {
		r, err := before.next()
		if err == nil {
			err = w.record(r)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("take over the listing before: %w", err), w.abandon())
		}
	}
	s.w = w
	return nil
}

// put adds an entry and its runs.
func (s *successor) put(e *entry, runs *runs) error {
	if s == nil {
		return nil
	}
	if err := s.change(); err != nil {
		return err
	}
	if err := s.w.record(record{recordEntry, payloadOf(e)}); err != nil {
		return err
	}
	if runs == nil {
		return nil
	}
	return runs.each(s.w.record)
}

// leave ends a directory.
func (s *successor) leave(at seen) error {
	if s == nil {
		return nil
	}
	if err := s.change(); err != nil {
		return err
	}
	return s.w.record(record{recordLeave, at.append(nil)})
}

// close makes the listing durable at its place. Whole is the sum of the listing before, which has been
// read to its end if this one is the same.
func (s *successor) close(whole Sum) (Sum, error) {
	if s.w == nil && s.base == "" {
		if err := s.change(); err != nil {
			return Sum{}, err
		}
	}
	if s.w != nil {
		w := s.w
		s.w = nil
		return w.close()
	}
	if s.save == s.base {
		return whole, nil
	}
	err := s.link()
	if errors.Is(err, syscall.EXDEV) || cluster.Full(err) && s.elsewhere != nil { // the one before is in memory, or this one must
		if err := s.change(); err != nil {
			return Sum{}, err
		}
		return s.close(whole)
	}
	return whole, err
}

// link gives the listing before the name of this one, too.
func (s *successor) link() error {
	beside := s.save + ".link"
	if err := os.Remove(beside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Link(s.base, beside); err != nil {
		return err
	}
	return durable.Rename(beside, s.save)
}

// abandon forgets it.
func (s *successor) abandon() {
	if s.w != nil {
		s.w.abandon() // nothing of it counts anyway
		s.w = nil
	}
}
