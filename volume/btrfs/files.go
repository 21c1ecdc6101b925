package btrfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
	"github.com/drover/drover/volume/files"
)

// What a snapshot holds, file by file, is kept where it has been shipped that way:
//
//	<root>/<volume id>/listings/@<name>
//	<root>/<volume id>/listings/incoming    of what has arrived
//
// All snapshots of a copy come of one tree: a file that two of them share has the same inode number
// and ctime in both. So what one listing says of it is true of the other too, and it is read once.

func (c *subvolumes) listingPath(name cluster.SnapshotName) string {
	return filepath.Join(c.Dir, "listings", snapshotFile(name))
}

func (c *subvolumes) incomingListing() string { return filepath.Join(c.Dir, "listings", "incoming") }

// listing returns the listing of a snapshot. If nobody has kept it, the files that no other listing
// knows are read.
func (c *subvolumes) listing(ctx context.Context, record copystore.Record, name cluster.SnapshotName) (string, error) {
	if name == "" {
		return "", nil
	}
	path := c.listingPath(name)
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	s, err := c.shipment(record, name)
	if err != nil {
		return "", err
	}
	_, err = files.Send(ctx, s, io.Discard)
	return path, err
}

// shipment is the whole of a snapshot.
func (c *subvolumes) shipment(record copystore.Record, name cluster.SnapshotName) (files.Shipment, error) {
	snapshot, err := record.Snapshot(name)
	if err != nil {
		return files.Shipment{}, err
	}
	m, err := c.intact(record, name)
	if err != nil {
		return files.Shipment{}, err
	}
	s := files.Shipment{Root: c.snapshotPath(name), Snapshot: snapshot, Save: c.listingPath(name), Since: m.Frozen}
	if known := c.known(record, name); known != "" {
		s.Known = c.listingPath(known)
		if s.Touched, err = touchedBetween(c.snapshotPath(known), c.snapshotPath(name)); err != nil {
			return files.Shipment{}, err
		}
	}
	return s, os.MkdirAll(filepath.Dir(c.listingPath(name)), 0o700)
}

// known returns the snapshot whose listing has most in common with that of a snapshot: itself, the next
// older one that has a listing, or the next newer one.
func (c *subvolumes) known(record copystore.Record, name cluster.SnapshotName) cluster.SnapshotName {
	at := slices.IndexFunc(record.Snapshots, func(s cluster.Snapshot) bool { return s.Name == name })
	near := slices.Clone(record.Snapshots[:at+1])
	slices.Reverse(near)
	for _, s := range append(near, record.Snapshots[at+1:]...) {
		if _, err := os.Lstat(c.listingPath(s.Name)); err == nil {
			return s.Name
		}
	}
	return ""
}

// sendFiles ships a snapshot to a backend of another kind, or to one that shares no lineage with us.
func (c *subvolumes) sendFiles(ctx context.Context, d volume.Delta, w io.Writer) error {
	if _, err := c.ends(d); err != nil {
		return err
	}
	record, base := c.Record(), d.Arrived
	var err error
	if len(d.Resume) == 0 {
		base, err = c.listing(ctx, record, d.From)
	} else if base == "" {
		err = fmt.Errorf("%w: nobody says what has arrived", cluster.ErrStale)
	}
	if err != nil {
		return err
	}
	s, err := c.shipment(record, d.To)
	if err != nil {
		return err
	}
	s.From, s.Base = d.From, base
	sum, err := files.Send(ctx, s, w)
	if err != nil {
		return err
	}
	c.Later(func(r *copystore.Record) { r.Prove(d.To, sum.Digest) }) // clients may be waiting for us
	return nil
}

// receiveFiles makes what arrives of what a backend of another kind ships.
func (b *Backend) receiveFiles(ctx context.Context, c *subvolumes, d volume.Delta, r io.Reader) (arrival, error) {
	a := arrival{listing: true}
	order, err := c.prepare(ctx, d)
	if err != nil {
		return a, err
	}
	var sum files.Sum
	a.snapshot, sum, err = files.Receive(ctx, order, r)
	if err != nil {
		a.part = b.stays(c, err)
		return a, err
	}
	a.snapshot.Digest = sum.Digest
	return a, c.movable()
}

// movable returns cluster.ErrUnsupported if what arrived cannot get the name of its snapshot.
func (c *subvolumes) movable() error {
	root, err := os.Open(c.incomingPath())
	if err != nil {
		return err
	}
	defer root.Close()
	if locked(root) {
		return fmt.Errorf("%w: the volume's own directory is immutable or append-only, and btrfs gives no such subvolume another name", cluster.ErrUnsupported)
	}
	return nil
}
