package files

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// A writing is a file whose blocks arrive.
type writing struct {
	f   *os.File
	at  place
	e   *entry
	was *entry // what there was of it; nil: nothing
	// held is what the file holds from block next on, as long as nothing else is written there.
	held  blocks
	next  int64
	edge  int64 // a block that was cut or grew with the size of the file; negative: none
	fresh bool
	dirty int // bytes that are not on their way to the disk yet
}

// writeBack is how much of a file gathers in memory before it goes on its way to the disk, and writeSome
// how much has to be there at its end: less goes with the rest, in the order that suits the disk.
const (
	writeBack = 8 << 20
	writeSome = 256 << 10
)

// wrote notes that n bytes were written. Much of it goes to the disk while more arrives, so that
// little is left to wait for at the end. The sync there is what counts, and tells of errors.
func (w *writing) wrote(n, most int) {
	if w.dirty += n; w.dirty < most {
		return
	}
	w.dirty = 0
	_ = unix.SyncFileRange(int(w.f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// openFile opens a file for its blocks and gives it its size.
func (t *tree) openFile(p place, e, was *entry) error {
	var f *os.File
	var err error
	if was == nil {
		f, err = p.create()
	} else {
		f, err = p.file(unix.O_RDWR)
	}
	if was != nil && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)) {
		f, err = reopen(p, was)
	}
	if err != nil {
		return err
	}
	w := &writing{f: f, at: p, e: e, was: was, edge: -1, fresh: was == nil && !t.top().inherits}
	t.file = w
	t.runs.reset()
	if was == nil || was.size != e.size {
		if err := f.Truncate(e.size); err != nil {
			if errors.Is(err, unix.EFBIG) {
				err = fmt.Errorf("%w: the file system here holds no file of %d bytes", cluster.ErrUnsupported, e.size)
			}
			return err
		}
	}
	if was == nil {
		return nil
	}
	w.held.of = t.base
	if at := min(was.size, e.size); was.size != e.size && at%blockSize != 0 {
		w.edge = at / blockSize
	}
	return nil
}

// reopen opens a file that is closed to its owner, or immutable.
func reopen(p place, was *entry) (*os.File, error) {
	if err := p.unlock(); err != nil && os.Getuid() == 0 {
		return nil, err
	}
	if err := p.chmod(was.mode | 0o600); err != nil {
		return nil, err
	}
	return p.file(unix.O_RDWR)
}

// skipTo notes what the file holds up to a block.
func (t *tree) skipTo(block int64) error {
	w := t.file
	for w.next < block {
		h, n, err := w.held.next(block - w.next)
		if err != nil {
			return err
		}
		if h != zeroHash && w.next == w.edge {
			h = unknownHash
		}
		t.runs.add(h, n)
		w.next += n
	}
	return nil
}

// drop forgets what the file held in the next n blocks.
func (w *writing) drop(n int64) error {
	for left := n; left > 0; {
		_, done, err := w.held.next(left)
		if err != nil {
			return err
		}
		left -= done
	}
	w.next += n
	return nil
}

// expect reports whether n blocks from a block on may come now.
func (t *tree) expect(first, n int64) error {
	if t.file == nil {
		return fmt.Errorf("%w: a block without a file in a stream", cluster.ErrInvalid)
	}
	if total := blocksOf(t.file.e.size); first < t.file.next || n < 1 || first >= total || n > total-first {
		return fmt.Errorf("%w: block %d (and %d more) of %q, which has %d, behind block %d", cluster.ErrInvalid, first, n-1, t.file.e.path, total, t.file.next-1)
	}
	return t.skipTo(first)
}

// write writes one block of the present file.
func (t *tree) write(number int64, h hash, data []byte) error {
	if err := t.expect(number, 1); err != nil {
		return err
	}
	w, start := t.file, number*blockSize
	if want := min(blockSize, w.e.size-start); int64(len(data)) != want {
		return fmt.Errorf("%w: block %d of %q has %d bytes, not %d", cluster.ErrInvalid, number, w.e.path, len(data), want)
	}
	if err := w.drop(1); err != nil {
		return err
	}
	if _, err := w.f.WriteAt(data, start); err != nil {
		t.runs.add(unknownHash, 1)
		return at(w.e.path, err)
	}
	t.runs.add(h, 1)
	w.wrote(len(data), writeBack)
	return nil
}

// clear makes a stretch of the present file zeros, by a hole where the file system can.
func (t *tree) clear(first, count int64) error {
	if err := t.expect(first, count); err != nil {
		return err
	}
	w := t.file
	if w.was != nil {
		if err := punch(w.f, first*blockSize, min(w.e.size, (first+count)*blockSize)); err != nil {
			t.runs.add(unknownHash, 1)
			return at(w.e.path, err)
		}
	}
	t.runs.add(zeroHash, count)
	return w.drop(count)
}

func punch(f *os.File, from, to int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, to-from)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	for ; from < to; from += blockSize {
		if _, err := f.WriteAt(zeros[:min(blockSize, to-from)], from); err != nil {
			return err
		}
	}
	return nil
}

// finishFile ends the writing of the present file, and puts it into the listing.
func (t *tree) finishFile() error {
	w := t.file
	if w == nil {
		return nil
	}
	defer w.f.Close()
	err := t.skipTo(blocksOf(w.e.size))
	t.file = nil
	if err != nil {
		return err
	}
	w.wrote(0, writeSome)
	fd := int(w.f.Fd())
	if err := setAll(fd, w.e, w.fresh); err != nil {
		return at(w.e.path, t.explain(err))
	}
	if err := t.changed(fd); err != nil {
		return err
	}
	if w.e.seen, err = asSet(w.at, fd, w.e); err != nil {
		return at(w.e.path, err)
	}
	if err := t.runs.finish(w.e); err != nil {
		return err
	}
	if err := t.next.put(w.e, &t.runs); err != nil {
		return err
	}
	if w.was != nil {
		return t.advance()
	}
	return nil
}
