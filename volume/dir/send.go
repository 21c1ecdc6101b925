package dir

import (
	"context"
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

// Send implements volume.Backend. Of a snapshot without content of its own it ships the live
// files, and what it shipped is what the snapshot means from then on. What a closed copy is said to
// be at already has its meaning: it is held against that, and keeps it.
func (b *Backend) Send(ctx context.Context, d volume.Delta, w io.Writer) error {
	c, err := b.find(d.Volume)
	if err != nil {
		return err
	}
	record := c.Record()
	snapshot, err := record.Snapshot(d.To)
	if err != nil {
		return err
	}
	listing, done := c.read()
	defer done()
	base, err := c.sendBase(d, listing)
	if err != nil {
		return err
	}
	s := files.Shipment{Root: c.Data(), From: d.From, Snapshot: snapshot, Base: base, Known: c.newestListing(listing), Save: c.savePath(d.To), Still: !record.Open}
	var memory *os.File // what is written down, should its disk be full; until it is kept
	defer func() { memory.Close() }()
	s.Elsewhere = func() (f *os.File, err error) {
		memory, err = files.MemoryFile()
		return memory, err
	}
	head := !record.Open && snapshot.GUID == record.Head
	switch {
	case snapshot.Kept:
		s.Root, s.Known, s.Still = c.keptTree(d.To), "", true
	case head && (d.Reading || c.listed(d.To)):
		return c.sendHead(ctx, s, d.To, listing, w)
	case d.Reading:
		return fmt.Errorf("%w: snapshot %s has been written over; one that is made to be kept can be read", cluster.ErrRefused, d.To)
	}
	if err := durable.MkdirAll(c.listings(), 0o700); err != nil { // a copy of an older version has none
		return err
	}
	sum, err := files.Send(ctx, s, w)
	if errors.Is(err, cluster.ErrInvalid) { // a listing of ours: the files themselves are read anew then
		err = errors.Join(fmt.Errorf("%w: %w", cluster.ErrStale, err), c.forgetListings(s.Base, s.Known))
	}
	if err != nil {
		if err = full(err); errors.Is(err, cluster.ErrRefused) { // this disk, on which the list of what was shipped is written
			err = cluster.WithHint(err, "make some room")
		}
		return err
	}
	if memory == nil {
		c.Unsaved.Forget(d.To) // it is on the disk now
	} else if err := c.Unsaved.Keep(d.To, memory, c.savePath(d.To)); err != nil {
		return full(err)
	}
	memory = nil
	c.Used.Note(sum.Bytes)
	c.Later(func(r *copystore.Record) { r.Prove(d.To, sum.Digest) }) // clients may be waiting for us
	return nil
}

// sendHead ships what a closed copy is at, once more or for somebody who looks. Its listing stays the
// one that the copy is held against: what was done to the files from outside must not become what they
// are said to be.
func (c *copyDir) sendHead(ctx context.Context, s files.Shipment, name cluster.SnapshotName, listing lookup, w io.Writer) error {
	if c.listed(name) {
		s.Known = listing(name)
		if err := files.Verify(ctx, s.Root, s.Known); err != nil {
			return err
		}
	}
	s.Save = c.sentPath()
	defer os.Remove(s.Save)
	if _, err := files.Send(ctx, s, w); err != nil {
		return err
	}
	if now := c.Record(); now.Open || now.Head != s.Snapshot.GUID {
		return fmt.Errorf("%w: the volume was opened while it was read", cluster.ErrConflict)
	}
	return nil
}

// forgetListings removes those that cannot be read. What is the receiver's stays.
func (c *copyDir) forgetListings(paths ...string) error {
	var errs []error
	for _, path := range paths {
		if filepath.Dir(path) == c.listings() {
			errs = append(errs, removeIfThere(path))
		}
	}
	return errors.Join(errs...)
}

// sendBase returns the listing of what the receiver has.
func (c *copyDir) sendBase(d volume.Delta, listing lookup) (string, error) {
	switch {
	case len(d.Resume) > 0 && d.Arrived == "":
		return "", fmt.Errorf("%w: nobody says what has arrived", cluster.ErrStale)
	case len(d.Resume) > 0:
		return d.Arrived, nil
	case d.From != "" && !c.listed(d.From):
		return "", fmt.Errorf("%w: what snapshot %s held is not written down here", cluster.ErrStale, d.From)
	case d.From != "":
		return listing(d.From), nil
	}
	return "", nil
}
