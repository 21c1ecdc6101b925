package files

import (
	"context"
	"os"
)

// A difference ships the blocks of one file that the receiver has not, in their order.
type difference struct {
	s     *sender
	e     *entry
	held  blocks // what the receiver has of it
	begun bool   // the receiver knows that blocks of this file follow

	first, count int64 // zeros that are to be told
}

// begin tells the receiver which file what follows is of.
func (d *difference) begin() error {
	if d.begun {
		return nil
	}
	d.begun = true
	return d.s.out.entry(d.e)
}

func (d *difference) ship(f *os.File) error {
	s := d.s
	s.runs.reset()
	s.reading.start(f, d.e.size)
	for s.reading.next() {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		s.runs.add(s.reading.hash, s.reading.count)
		if err := d.block(&s.reading); err != nil {
			return err
		}
	}
	if s.reading.err != nil {
		return s.reading.err
	}
	if err := d.flush(); err != nil {
		return err
	}
	return s.runs.finish(d.e)
}

// block holds what was read against what the receiver has.
func (d *difference) block(r *reading) error {
	number, left := r.block, r.count
	for left > 0 {
		h, n, err := d.held.next(left)
		if err != nil {
			return err
		}
		if h != r.hash {
			if err := d.lacks(number, r); err != nil {
				return err
			}
		}
		number += n
		left -= n
	}
	return nil
}

// lacks ships one block. Zeros are gathered, to be told at once.
func (d *difference) lacks(number int64, r *reading) error {
	if r.hash == zeroHash {
		if d.count > 0 && d.first+d.count == number {
			d.count++
			return nil
		}
		err := d.flush()
		d.first, d.count = number, 1
		return err
	}
	if err := d.flush(); err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	return d.s.out.block(number, r.hash, r.data)
}

func (d *difference) flush() error {
	if d.count == 0 {
		return nil
	}
	if err := d.begin(); err != nil {
		return err
	}
	err := d.s.out.zeros(d.first, d.count)
	d.count = 0
	return err
}
