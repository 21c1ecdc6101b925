package btrfs

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
	"github.com/drover/drover/volume/files"
)

// What arrives is made beside all that is there, and takes its place when it is whole and on the disk:
//
//	incoming   the stream makes this subvolume, and nothing else
//	seal       it is read-only, its lineage is noted in it, and it is on the disk
//	place      it gets the name of the snapshot; one that had it gets the name incoming
//	record     the snapshot, and what it is known by
//
// A full stream that comes to a copy with snapshots of its own sets that aside and makes a new one, but
// not before it is whole either.
//
// A cut before the record is written leaves what was on the record, and the rest is deleted; of a stream of files
// it stays, for the next one to go on with: see partial.go.

// An arrival is a snapshot that has arrived whole and is on no record yet.
type arrival struct {
	snapshot cluster.Snapshot
	// lineage is what it had where it came from, if it came as the kernel ships it; transid is that
	// of its last change there.
	lineage [16]byte
	transid uint64
	listing bool // there is one of it, too
	part    bool // it is none yet: the stream broke off, and may go on
}

// seal makes what arrived read-only, waits until it is on the disk, and returns what it is known by.
func (a arrival) seal(path string) (mark, error) {
	root, err := os.Open(path)
	if err != nil {
		return mark{}, err
	}
	defer root.Close()
	frozen := coarseNow()
	if err := seal(root, a.lineage, a.transid); err != nil {
		return mark{}, err
	}
	// What is written out later would change what the mark is of.
	if err := syncFileSystem(path); err != nil {
		return mark{}, err
	}
	return markOf(path, frozen)
}

// Receive implements volume.Backend.
func (b *Backend) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	if err := b.receive(ctx, d, r); err != nil {
		return fmt.Errorf("receive %s: %w", d, err)
	}
	return nil
}

func (b *Backend) receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	start, h, err := peekHeader(r)
	if err == nil && !files.Is(start) {
		err = h.matches(d)
	}
	if err != nil {
		return err
	}
	c, err := b.expect(d)
	if err != nil {
		return err
	}
	defer c.Op.Unlock()
	if len(d.Resume) > 0 && !(files.Is(start) && c.goesOn(d)) {
		return fmt.Errorf("%w: there is nothing to go on with", cluster.ErrStale)
	}
	base, err := c.base(d)
	if err != nil {
		return err
	}
	if files.Is(start) {
		err = b.take(ctx, c, d, func() (arrival, error) { return b.receiveFiles(ctx, c, d, io.MultiReader(bytes.NewReader(start), r)) })
	} else if c.holds(h) {
		// Whoever sends it again did not hear that it arrived.
		if _, err = io.Copy(io.Discard, r); err == nil {
			err = c.again(d.To)
		}
	} else {
		err = b.take(ctx, c, d, func() (arrival, error) { return c.receiveNative(ctx, d, h, base, r) })
	}
	return err
}

// expect finds or makes the copy that a stream is for, locked.
func (b *Backend) expect(d volume.Delta) (*subvolumes, error) {
	found, err := b.root.Find(d.Volume)
	if errors.Is(err, copystore.ErrBroken) && d.From == "" {
		if err := b.root.GiveWay(d.Volume); err != nil {
			return nil, err
		}
		found, err = b.root.Find(d.Volume)
	}
	if errors.Is(err, cluster.ErrNotFound) && d.From == "" && len(d.Resume) == 0 {
		found, err = b.root.Add(d.Volume, copystore.Record{Role: cluster.Replica}, func(*copystore.Copy) error { return nil })
	}
	if err != nil {
		return nil, err
	}
	c := of(found)
	if err := c.TryLock(); err != nil {
		return nil, err
	}
	if now := c.Record(); now.Role == cluster.Primary {
		c.Op.Unlock()
		return nil, fmt.Errorf("%w: this node has a primary copy of epoch %d", cluster.ErrConflict, now.Epoch)
	}
	return c, nil
}

// base returns the mark of the snapshot that a stream builds on. A copy in which that is not what it
// was is set aside: what else of it could be trusted?
func (c *subvolumes) base(d volume.Delta) (mark, error) {
	if d.From == "" {
		return mark{}, nil
	}
	m, err := c.intact(c.Record(), d.From)
	switch {
	case errors.Is(err, errAltered):
		return mark{}, c.diverged(err)
	case err != nil:
		return mark{}, fmt.Errorf("%w: the copy does not hold snapshot %s: %w", cluster.ErrStale, d.From, err)
	}
	return m, nil
}

// holds reports whether the copy has a snapshot already, untouched.
func (c *subvolumes) holds(h header) bool {
	record := c.Record()
	m, err := c.intact(record, h.Name)
	if err != nil || m.Lineage != h.Lineage {
		return false
	}
	s, err := record.Snapshot(h.Name)
	return err == nil && s.GUID == h.GUID
}

// again makes a snapshot that has arrived before the newest.
func (c *subvolumes) again(name cluster.SnapshotName) error {
	return c.Update(func(r *copystore.Record) {
		s, err := r.Snapshot(name)
		if err != nil || r.Head == s.GUID {
			return
		}
		mark := r.Marks[name]
		r.Forget(name)
		r.Snapshots, r.Head, r.Marks[name] = append(r.Snapshots, s), s.GUID, mark
	})
}

// take lets a stream make what arrives, and puts it where it belongs.
func (b *Backend) take(ctx context.Context, c *subvolumes, d volume.Delta, stream func() (arrival, error)) error {
	if len(d.Resume) == 0 {
		if err := c.clearIncoming(); err != nil {
			return err
		}
	}
	before, _ := b.root.Space()
	a, err := stream()
	if err == nil && d.From == "" && len(c.Record().Snapshots) > 0 {
		return b.replace(c, a)
	}
	if err == nil {
		err = c.keep(a)
	}
	if err == nil || a.part {
		return err
	}
	err = errors.Join(err, c.clearIncoming())
	if cluster.Full(err) && b.reclaimed(ctx, before) {
		err = fmt.Errorf("%w: %w", cluster.ErrUnavailable, err) // another try may find it
	}
	return err
}

// worthwhile is how much more space makes it worth while to try once more.
const worthwhile = 16 << 20

// reclaimed waits for the space of what was deleted, which btrfs gives back only after a while, and reports
// whether there is more of it than there was before.
func (b *Backend) reclaimed(ctx context.Context, before volume.Space) bool {
	if err := b.reclaim(ctx); err != nil {
		b.log.Warn("could not wait for the space of deleted subvolumes", "error", err)
	}
	now, err := b.root.Space()
	return err == nil && now.Free > before.Free+worthwhile
}

// keep puts what arrived into the copy.
func (c *subvolumes) keep(a arrival) error {
	record := c.Record()
	held, err := record.Snapshot(a.snapshot.Name)
	if replaces := err == nil; replaces && held.Kept {
		return fmt.Errorf("%w: the copy keeps another snapshot %s for its user", cluster.ErrConflict, held.Name)
	}
	m, err := a.seal(c.incomingPath())
	if err != nil {
		return err
	}
	undo, err := c.place(a.snapshot.Name)
	if err != nil {
		return err
	}
	err = c.Update(func(r *copystore.Record) {
		r.Forget(a.snapshot.Name)
		a.note(r, m)
	})
	if err != nil {
		return errors.Join(err, undo())
	}
	c.Used.Forget()
	if a.listing {
		err = os.Rename(c.incomingListing(), c.listingPath(a.snapshot.Name))
	}
	return errors.Join(err, c.clearIncoming())
}

// note puts what arrived on a record.
func (a arrival) note(r *copystore.Record, m mark) {
	r.Snapshots = append(r.Snapshots, a.snapshot)
	r.Head, r.Transit = a.snapshot.GUID, nil
	m.set(r, a.snapshot.Name)
}

// place gives what has arrived the name of its snapshot. A subvolume that has that name is then the
// one that is incoming; undo changes them again.
func (c *subvolumes) place(name cluster.SnapshotName) (undo func() error, err error) {
	if err := os.Remove(c.listingPath(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	path := c.snapshotPath(name)
	if _, err := os.Lstat(path); err == nil {
		change := func() error { return exchange(c.incomingPath(), path) }
		if err := change(); err != nil {
			return nil, err
		}
		return change, syncFileSystem(c.Dir)
	}
	if err := durable.Rename(c.incomingPath(), path); err != nil {
		return nil, err
	}
	return func() error { return os.Rename(path, c.incomingPath()) }, nil
}

// replace sets the copy aside, and makes one of what arrived.
func (b *Backend) replace(c *subvolumes, a arrival) error {
	// All that takes long comes before the volume has no copy, and nobody finds any.
	if err := syncFileSystem(c.Dir); err != nil {
		return err
	}
	aside, err := c.SetAside("replaced")
	if err != nil {
		return err
	}
	old := &subvolumes{&copystore.Copy{Dir: aside}}
	_, err = b.root.Add(c.ID, copystore.Record{Role: cluster.Replica}, func(next *copystore.Copy) error {
		return a.move(old, &subvolumes{next})
	})
	return err
}

// move makes what arrived in one copy the snapshot of a new one. A subvolume that is read-only cannot
// go into another directory.
func (a arrival) move(from, to *subvolumes) error {
	path := to.snapshotPath(a.snapshot.Name)
	if err := os.Rename(from.incomingPath(), path); err != nil {
		return err
	}
	m, err := a.seal(path)
	if err == nil && a.listing {
		listing := to.listingPath(a.snapshot.Name)
		err = errors.Join(os.MkdirAll(filepath.Dir(listing), 0o700), os.Rename(from.incomingListing(), listing))
	}
	if err == nil {
		err = to.Update(func(r *copystore.Record) { a.note(r, m) })
	}
	if err != nil {
		err = errors.Join(err, deleteSubvolume(path))
	}
	return err
}

// receiveNative makes what arrives of a stream of the kernel's.
func (c *subvolumes) receiveNative(ctx context.Context, d volume.Delta, h header, base mark, r io.Reader) (arrival, error) {
	if d.From != "" && h.Base != "" && h.Base != base.Lineage {
		return arrival{}, fmt.Errorf("%w: snapshot %s is here of lineage %s and at the sender of %s, since it came by files: ship by files",
			cluster.ErrStale, d.From, base.Lineage, h.Base)
	}
	stream := newCommands(r)
	a, transid, err := c.begin(d, h, base, stream)
	if err != nil {
		return arrival{}, err
	}
	defer a.close()
	if err := a.run(ctx, stream); err != nil {
		return arrival{}, err
	}
	return arrival{snapshot: h.Snapshot, lineage: a.own, transid: transid}, nil
}

// begin makes what the first command of a stream says, if that is what was agreed upon.
func (c *subvolumes) begin(d volume.Delta, h header, base mark, stream *commands) (*applier, uint64, error) {
	first, err := stream.next()
	if err != nil {
		return nil, 0, err
	}
	name, transid := first.name(attributePath), first.number(attributeTransid)
	a := &applier{own: first.uuid(attributeUUID)}
	want := uint16(commandSubvolume)
	if d.From != "" {
		want, a.parent = commandSnapshot, first.uuid(attributeCloneUUID)
	}
	switch {
	case first.err != nil:
		return nil, 0, first.err
	case first.kind != want || name != snapshotFile(d.To) || hex.EncodeToString(a.own[:]) != h.Lineage:
		return nil, 0, fmt.Errorf("%w: the stream begins with command %d for %q of lineage %x", cluster.ErrInvalid, first.kind, name, a.own)
	case d.From != "" && hex.EncodeToString(a.parent[:]) != base.Lineage:
		return nil, 0, fmt.Errorf("%w: the stream builds on lineage %x, snapshot %s is of %s", cluster.ErrStale, a.parent, d.From, base.Lineage)
	}
	if d.From == "" {
		err = createSubvolume(c.incomingPath())
	} else {
		err = snapshotSubvolume(c.snapshotPath(d.From), c.incomingPath(), false)
	}
	if err == nil {
		a.root, err = os.Open(c.incomingPath())
	}
	if err == nil {
		a.times, err = a.rootTimes()
	}
	if err == nil && d.From != "" {
		if a.base, err = os.Open(c.snapshotPath(d.From)); err != nil {
			a.root.Close()
		}
	}
	return a, transid, err
}
