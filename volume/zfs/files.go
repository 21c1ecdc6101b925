package zfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/files"
)

// To and from backends of other kinds snapshots go file by file, through views. What one holds is kept
// where it was shipped that way, by ZFS's GUID, which no other snapshot ever has:
//
//	<dir>/listings/<volume id>/<guid>
//	<dir>/listings/<volume id>/incoming    of what has arrived

func (b *Backend) listings(id cluster.VolumeID) string {
	return filepath.Join(b.o.Dir, "listings", string(id))
}

func (b *Backend) listingOf(d *dataset, s *snapshot) string {
	return filepath.Join(b.listings(d.volume()), s.guid())
}

// forgetListing goes with a snapshot or its bookmark. One that stays would only be of no use.
func (b *Backend) forgetListing(d *dataset, s *snapshot) {
	if err := os.Remove(b.listingOf(d, s)); err != nil && !errors.Is(err, os.ErrNotExist) {
		b.o.Log.Warn("cannot remove a listing", "error", err)
	}
	_ = os.Remove(b.listings(d.volume())) // if it was the last
}

// listing returns the listing of a snapshot, or of one that only a bookmark is left of. If nobody has
// kept it, every file is read.
func (b *Backend) listing(ctx context.Context, d *dataset, name cluster.SnapshotName) (string, error) {
	s := d.snapshot(name)
	held := s != nil
	if !held {
		s = named(d.bases(), name)
	}
	if s == nil {
		return "", fmt.Errorf("%w: the base %s is gone", cluster.ErrStale, name)
	}
	path := b.listingOf(d, s)
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	if !held {
		return "", fmt.Errorf("%w: the content of the base %s is gone", cluster.ErrStale, name)
	}
	return path, b.survey(ctx, d, s)
}

// survey writes the listing of a snapshot.
func (b *Backend) survey(ctx context.Context, d *dataset, s *snapshot) error {
	look := func(known string) error {
		return b.viewed(ctx, d.volume(), d.name+"@"+s.name, func(root string) error {
			_, err := files.Send(ctx, files.Shipment{Root: root, Snapshot: s.noun(), Known: known, Save: b.listingOf(d, s), Since: s.frozen()}, io.Discard)
			return err
		})
	}
	known := b.lastListing(d, s)
	err := look(known)
	if known == "" || !errors.Is(err, cluster.ErrInvalid) {
		return err
	}
	if err := os.RemoveAll(b.listings(d.volume())); err != nil { // it is damaged
		return err
	}
	return look("")
}

// viewed calls do with the root of what a snapshot, or a dataset, of a volume holds.
func (b *Backend) viewed(ctx context.Context, id cluster.VolumeID, name string, do func(root string) error) error {
	if err := os.MkdirAll(b.listings(id), 0o700); err != nil {
		return err
	}
	v, err := b.look(ctx, name, true)
	if err != nil {
		return err
	}
	return errors.Join(do(v.root), v.close())
}

// lastListing returns the newest listing of the dataset up to a snapshot, or "". ZFS keeps the numbers and
// times of inodes in snapshots: what they say is the same is not read again.
func (b *Backend) lastListing(d *dataset, to *snapshot) string {
	for _, s := range slices.Backward(d.snapshots) {
		if s.created() > to.created() {
			continue
		}
		if _, err := os.Lstat(b.listingOf(d, s)); err == nil {
			return b.listingOf(d, s)
		}
	}
	return ""
}

// sendFiles ships a snapshot to a backend of another kind, or to one of this kind that has the base
// from one of another kind. A listing that is damaged costs a look at every file.
func (b *Backend) sendFiles(ctx context.Context, d volume.Delta, w io.Writer) error {
	watched := &countingWriter{w: w}
	err := b.shipFiles(ctx, d, watched)
	if errors.Is(err, cluster.ErrInvalid) {
		b.o.Log.Warn("the listings of a volume are made anew", "volume", d.Volume, "error", err)
		err = errors.Join(err, os.RemoveAll(b.listings(d.Volume)))
		if watched.n == 0 {
			err = b.shipFiles(ctx, d, w)
		}
	}
	return err
}

// A countingWriter knows how much has gone through it.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (b *Backend) shipFiles(ctx context.Context, d volume.Delta, w io.Writer) error {
	here, err := b.find(ctx, d.Volume)
	if err != nil {
		return err
	}
	to, base := here.snapshot(d.To), ""
	switch {
	case to == nil:
		return fmt.Errorf("snapshot %s: %w", d.To, cluster.ErrNotFound)
	case len(d.Resume) > 0 && d.Arrived == "":
		return fmt.Errorf("%w: nobody has said what has arrived of %s", cluster.ErrStale, d)
	case len(d.Resume) > 0:
		base = d.Arrived
	case d.From != "":
		if base, err = b.listing(ctx, here, d.From); err != nil {
			return err
		}
	}
	return b.viewed(ctx, d.Volume, here.name+"@"+to.name, func(root string) error {
		sum, err := files.Send(ctx, files.Shipment{Root: root, From: d.From, Snapshot: to.noun(), Base: base, Known: b.lastListing(here, to),
			Save: b.listingOf(here, to), Since: to.frozen()}, w)
		if err != nil || to.said(propDigest) == sum.Digest {
			return err
		}
		b.changed()
		return set(ctx, here.name+"@"+to.name, map[string]string{propDigest: sum.Digest})
	})
}

// receiveFiles makes a snapshot of what a backend of another kind ships. The dataset says that it is
// being written before it is, and until there is a snapshot nothing of it counts. What has come of a stream
// that is cut stays.
func (b *Backend) receiveFiles(ctx context.Context, d volume.Delta, r io.Reader) error {
	here, base, err := b.incoming(ctx, d)
	if err != nil {
		return err
	}
	err = b.applyFiles(ctx, here, base, d, r)
	if err == nil {
		return set(ctx, here.name, map[string]string{propIncoming: "", "readonly": "on"})
	}
	if b.stays(ctx, err) {
		return err
	}
	if cluster.Full(err) {
		err = fmt.Errorf("%w: %w", errNoSpace, err)
	}
	var changed *files.Changed
	if base != "" && (errors.As(err, &changed) || errors.Is(err, cluster.ErrInvalid)) {
		// The pool says that it is what it was left as: it is the listing that is not, or is damaged.
		err = errors.Join(err, os.RemoveAll(b.listings(d.Volume)))
	}
	_, undone := b.discard(context.WithoutCancel(ctx), here.name)
	return errors.Join(err, undone)
}

// incoming returns the dataset that a stream of files is for, ready to be written, with the listing
// of what it holds.
func (b *Backend) incoming(ctx context.Context, d volume.Delta) (here *dataset, base string, err error) {
	if here, err = b.receiver(ctx, d); err != nil {
		return nil, "", err
	}
	// Others keep access lists in attributes, where ZFS does not unless it is told.
	writable := map[string]string{propIncoming: partOf(d), propArriving: string(d.To), "readonly": "off", "acltype": "posixacl"}
	if here == nil {
		name, err := b.free(ctx, d.Volume, d.Labels.Name, "")
		if err != nil {
			return nil, "", err
		}
		properties := b.replica(d, 0, stamp())
		maps.Copy(properties, writable)
		properties["xattr"] = "sa"
		err = library(ctx, func() error {
			_, err := gozfs.CreateFilesystem(name, properties)
			return err
		})
		if err == nil {
			here, err = b.one(ctx, name)
		}
		return here, "", err
	}
	if here.mounted() {
		err = b.unmount(ctx, here)
	}
	if err == nil && len(d.Resume) == 0 {
		base, err = b.listing(ctx, here, d.From)
	}
	if err == nil {
		err = set(ctx, here.name, writable)
	}
	return here, base, err
}

// applyFiles applies a stream, and makes the snapshot.
func (b *Backend) applyFiles(ctx context.Context, here *dataset, base string, d volume.Delta, r io.Reader) error {
	if err := os.MkdirAll(b.listings(d.Volume), 0o700); err != nil {
		return err
	}
	v, err := b.look(ctx, here.name, false)
	if err != nil {
		return err
	}
	save := b.incomingListing(d.Volume)
	snapshot, sum, err := files.Receive(ctx, files.Arrival{Root: v.root, Base: base, Save: save, Resumed: len(d.Resume) > 0}, r)
	err = errors.Join(err, v.close())
	switch {
	case err != nil:
		return err
	case snapshot.Name != d.To || !cluster.ValidName(snapshot.GUID):
		return fmt.Errorf("%w: the stream is of snapshot %q, %q", cluster.ErrInvalid, snapshot.Name, snapshot.GUID)
	}
	made, err := take(ctx, here.name+"@"+string(d.To), map[string]string{propSnapshot: forTransfer, propGUID: snapshot.GUID, propDigest: sum.Digest})
	if err != nil {
		return err
	}
	return os.Rename(save, b.listingOf(here, made))
}

// discard takes back what a stream of files has written without coming to its end. A dataset that has
// nothing else goes with it.
func (b *Backend) discard(ctx context.Context, name string) (gone bool, err error) {
	b.changed()
	d, err := b.one(ctx, name)
	if err != nil {
		return false, err
	}
	for _, listing := range []string{b.incomingListing(d.volume()), b.incomingListing(d.volume()) + files.Before} {
		if err := os.Remove(listing); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
	}
	newest := d.newest()
	switch {
	case d.role() != cluster.Replica || d.own(propIncoming) == "":
		return false, fmt.Errorf("%w: %s has become another copy", cluster.ErrConflict, name)
	case newest == nil:
		if err := zfs(ctx, "destroy", name); err == nil {
			return true, nil
		}
		_, err := b.setAside(ctx, d, "broken")
		return true, err
	}
	// -r is for bookmarks that are later; there are no snapshots that are.
	if err := zfs(ctx, "rollback", "-r", name+"@"+newest.name); err != nil {
		return false, err
	}
	return false, set(ctx, name, map[string]string{propIncoming: "", "readonly": "on"})
}
