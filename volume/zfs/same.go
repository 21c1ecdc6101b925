package zfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The layout of a record in a stream is that of dmu_replay_record_t in sys/zfs_ioctl.h: a type and the
// length of what follows the record, then the rest up to recordSize.
const (
	recordSize  = 312
	recordBegin = 0
	recordEnd   = 5
)

// errChanged ends a look at a stream as soon as it has something in it.
var errChanged = errors.New("something was written")

// unchanged reports whether a copy that is not mounted has the content of its newest snapshot, where
// the pool counts some bytes as written: the log of a dataset that was mounted when the power failed is
// counted when it is claimed, though nothing was in it. A stream with nothing between its begin and its
// end tells. What was found is remembered until something else is counted.
func (b *Backend) unchanged(ctx context.Context, d *dataset) bool {
	newest := d.newest()
	if newest == nil || d.own(propIncoming) != "" || d.mayWrite() || d.mounted() || d.number("written") == 0 {
		return false
	}
	now := fmt.Sprint(newest.guid(), " ", d.number("written"))
	b.mu.Lock()
	known, found := b.looked[d.name]
	b.mu.Unlock()
	if found && known.at == now {
		return known.same
	}
	args := []string{"send", "-i", "@" + newest.name, d.name}
	if d.encrypted() {
		args = append(args[:1], append([]string{"-w"}, args[1:]...)...)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	look := &emptyStream{}
	err := stream(ctx, nil, look, "zfs", args...)
	if ctx.Err() != nil {
		return false // and the program may still be at it
	}
	same := err == nil && look.ended
	if err == nil || look.changed {
		b.mu.Lock()
		b.looked[d.name] = looked{now, same}
		b.mu.Unlock()
	} else {
		b.o.Log.Warn("cannot tell whether a copy has changed; it counts as changed", "dataset", d.name, "error", err)
	}
	return same
}

// forget has a dataset looked at anew, since it can be written from now on.
func (b *Backend) forget(d *dataset) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.looked, d.name)
}

// looked is what was found of a dataset, and at which state of it.
type looked struct {
	at   string
	same bool
}

// newest returns the last snapshot, whoever's.
func (d *dataset) newest() *snapshot {
	if len(d.snapshots) == 0 {
		return nil
	}
	return d.snapshots[len(d.snapshots)-1]
}

// An emptyStream takes a stream of ZFS, and fails at the first record that holds a change.
type emptyStream struct {
	record []byte // as much of the present one as has come
	skip   int    // of what follows the last one

	begun, ended, changed bool
}

var _ io.Writer = (*emptyStream)(nil)

func (e *emptyStream) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if e.skip > 0 {
			skipped := min(e.skip, len(p))
			e.skip -= skipped
			p = p[skipped:]
			continue
		}
		taken := min(recordSize-len(e.record), len(p))
		e.record, p = append(e.record, p[:taken]...), p[taken:]
		if len(e.record) < recordSize {
			break
		}
		if err := e.take(); err != nil {
			return n - len(p), err
		}
	}
	return n, nil
}

func (e *emptyStream) take() error {
	kind, follows := binary.LittleEndian.Uint32(e.record), binary.LittleEndian.Uint32(e.record[4:])
	e.record = e.record[:0]
	switch {
	case kind == recordBegin && !e.begun && follows <= maxFollows:
		e.begun, e.skip = true, int(follows)
	case kind == recordEnd && e.begun && !e.ended:
		e.ended = true
	default:
		e.changed = true
		return errChanged
	}
	return nil
}

// maxFollows bounds what a begin can carry: properties and keys.
const maxFollows = 16 << 20
