package files

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// Send writes what the tree adds to the base.
func Send(ctx context.Context, s Shipment, w io.Writer) (Sum, error) {
	out, err := newStreamWriter(w)
	if err == nil {
		err = out.header(streamHeader{From: s.From, To: s.Snapshot.Name, Snapshot: s.Snapshot})
	}
	if err != nil {
		return Sum{}, err
	}
	base, err := openItems(s.Base)
	if err != nil {
		return Sum{}, err
	}
	defer base.close()
	known := base
	if s.Known != s.Base {
		if known, err = openItems(s.Known); err != nil {
			return Sum{}, err
		}
		defer known.close()
	}
	base.under(ctx)
	known.under(ctx)
	clock, err := startClock(ctx, s.Root, s.Since)
	if err != nil {
		return Sum{}, fmt.Errorf("write back %s: %w", s.Root, err)
	}
	x := &sender{ctx: ctx, touched: s.Touched, out: out, base: base, known: known, links: map[inode]string{},
		next: successor{base: s.Known, save: s.Save, header: clock.header, elsewhere: s.Elsewhere}, runs: runs{dir: filepath.Dir(s.Save)}}
	defer x.next.abandon()
	defer x.runs.reset()
	return x.send(&walker{ctx: ctx, still: s.Still || !s.Since.IsZero(), visit: x.visit, leave: x.leave}, s.Root, clock)
}

// A sender ships one tree.
type sender struct {
	ctx context.Context
	out *streamWriter
	// touched is that of the Shipment.
	touched func(inode uint64) (bool, error)
	// base is what the receiver holds, known what was found here at the last look. They may be one.
	base, known *items
	next        successor

	device  uint64           // that the root is on
	links   map[inode]string // of inodes with several names, the first
	reading reading
	runs    runs
	quiet   int // names since the receiver was last told how far we are
	told    time.Time
}

// An inode identifies a file within the host.
type inode struct{ device, number uint64 }

func (s *sender) send(w *walker, root string, clock clock) (Sum, error) {
	if err := w.walk(root); err != nil {
		return Sum{}, err
	}
	// Whatever is left of either listing is no longer there.
	for s.base.e != nil {
		if err := s.missing(); err != nil {
			return Sum{}, err
		}
	}
	for s.known.e != nil {
		if err := s.passKnown(); err != nil {
			return Sum{}, err
		}
	}
	if s.next.w != nil && clock.wasSet() {
		return Sum{}, fmt.Errorf("%w: the clock was set while the files were read", cluster.ErrUnavailable)
	}
	sum, err := s.next.close(s.known.l.sum)
	if err != nil {
		return Sum{}, err
	}
	if err := s.out.frame(frameDigest, sum.digest()); err != nil {
		return Sum{}, err
	}
	return sum, s.out.w.Flush()
}

// visit ships one name.
func (s *sender) visit(p place, path string, st *unix.Statx_t) (enter bool, err error) {
	if path == "" {
		s.device = deviceOf(st)
	}
	for s.base.before(path) {
		if err := s.missing(); err != nil {
			return false, err
		}
	}
	for s.known.before(path) {
		if err := s.passKnown(); err != nil {
			return false, err
		}
	}
	e := entryOf(path, st)
	if deviceOf(st) != s.device {
		e.seen = seen{} // the sync was of another file system, so its stamps prove nothing
	}
	if err := s.name(p, &e, st); err != nil {
		return false, err
	}
	s.tell(path)
	return e.kind == kindDir, s.past(&e)
}

// missing tells of the present entry of the base, which is no longer there.
func (s *sender) missing() error {
	path := s.base.e.path
	if err := s.next.change(); err != nil {
		return err
	}
	if err := s.out.frame(frameDelete, []byte(path)); err != nil {
		return err
	}
	if err := s.base.advance(); err != nil {
		return err
	}
	return s.base.skipBelow(path)
}

// passKnown goes past the present entry of what is known, which is no longer there.
func (s *sender) passKnown() error {
	if err := s.next.change(); err != nil {
		return err
	}
	return s.known.advance()
}

// past goes past the entries of the listings that were compared with e.
func (s *sender) past(e *entry) error {
	for _, l := range []*items{s.base, s.known} {
		if l.at(e.path) == nil {
			continue
		}
		wasDir := l.e.kind == kindDir
		if err := l.advance(); err != nil {
			return err
		}
		if wasDir && e.kind != kindDir {
			if err := l.skipBelow(e.path); err != nil { // it goes with its directory
				return err
			}
		}
	}
	return nil
}

// name ships one name, and puts it into the listing.
func (s *sender) name(p place, e *entry, st *unix.Statx_t) error {
	id := inode{deviceOf(st), st.Ino}
	several := st.Nlink > 1 && e.kind != kindDir
	if first, again := s.links[id]; several && again {
		*e = entry{path: e.path, kind: kindHardlink, target: first, seen: e.seen}
		return s.plain(e)
	}
	var err error
	if e.kind == kindFile {
		err = s.file(p, e)
	} else if err = e.complete(p); err == nil {
		err = s.plain(e)
	}
	if err == nil && several && e.ino == st.Ino {
		s.links[id] = e.path
	}
	return err
}

// plain ships a name that has no content.
func (s *sender) plain(e *entry) error {
	if was := s.base.at(e.path); was == nil || !was.same(e) {
		if err := s.out.entry(e); err != nil {
			return err
		}
	}
	if was := s.known.at(e.path); was != nil && was.same(e) && (was.seen == e.seen || e.kind == kindDir) {
		return s.next.keep(record{recordEntry, s.known.raw})
	}
	return s.next.put(e, nil)
}

// file ships a file.
func (s *sender) file(p place, e *entry) error {
	base, known := s.base.at(e.path), s.known.at(e.path)
	trusted, err := s.trusts(known, e)
	if err != nil {
		return err
	}
	if trusted {
		ino := e.ino
		*e = *known
		e.ino = ino
		if base != nil && base.kind == kindFile && base.sum == e.sum && base.size == e.size {
			return s.unchanged(base, e)
		}
	}
	f, err := p.file(unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.again(p, int(f.Fd()), e); err != nil {
		return err
	}
	if err := s.content(f, e, base); err != nil {
		return err
	}
	return s.next.put(e, &s.runs)
}

// trusts reports whether nothing has been written to a file since the last look. What a stat tells is
// compared as well: ZFS changes flags and leaves the times as they are.
func (s *sender) trusts(known, e *entry) (bool, error) {
	if known == nil || known.kind != kindFile || known.seen != e.seen || e.seen.ino == 0 || !s.next.believes(s.known.l.header, e.seen.ctime) {
		return false, nil
	}
	if !known.sameStat(e) {
		return false, nil
	}
	if s.touched == nil {
		return true, nil
	}
	touched, err := s.touched(e.seen.ino)
	return !touched, err
}

// unchanged takes over a file that was not touched since the last look, and that the receiver has.
func (s *sender) unchanged(base, e *entry) error {
	if !base.same(e) {
		if err := s.out.entry(e); err != nil {
			return err
		}
	}
	if err := s.next.keep(record{recordEntry, s.known.raw}); err != nil {
		return err
	}
	for {
		r, ok, err := s.known.run()
		if err != nil || !ok {
			return err
		}
		if err := s.next.keep(r); err != nil {
			return err
		}
	}
}

// again looks at a file once more now that it is open: what is read is of this inode.
func (s *sender) again(p place, fd int, e *entry) error {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, statMask, &st); err != nil {
		return err
	}
	now := entryOf(e.path, &st)
	if now.kind != kindFile {
		return errGone
	}
	if e.seen == (seen{}) {
		now.seen = seen{}
	}
	*e = now
	return e.complete(p)
}

// content ships the blocks of a file that the receiver lacks, and notes all of them.
func (s *sender) content(f *os.File, e, base *entry) error {
	d := difference{s: s, e: e}
	if base != nil && base.kind == kindFile {
		d.held.of = s.base
	}
	if base == nil || !base.same(e) {
		if err := d.begin(); err != nil {
			return err
		}
	}
	return d.ship(f)
}

// tellEvery is how many names may pass without a word, and tellAfter for how long.
const (
	tellEvery = 1024
	tellAfter = 200 * time.Millisecond
)

// tell lets the receiver know how far we are, so that it can do its part meanwhile.
func (s *sender) tell(path string) {
	if s.quiet++; s.quiet%64 != 0 || (s.quiet < tellEvery && time.Since(s.told) < tellAfter) {
		return
	}
	s.quiet, s.told = 0, time.Now()
	s.out.frame(frameUpTo, []byte(path)) // the first error is kept by the writer
	s.out.w.Flush()
}

// leave ends a directory in the listing.
func (s *sender) leave(path string, at seen) error {
	left := s.known.left
	s.base.left, s.known.left = nil, nil
	if len(left) > 0 && left[0].path == path {
		s.known.left = left[1:]
		if left[0].seen == at && s.next.w == nil {
			return s.next.keep(record{kind: recordLeave})
		}
	}
	return s.next.leave(at)
}
