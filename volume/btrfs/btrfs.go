// Package btrfs stores volumes as subvolumes of a btrfs file system.
//
//	b, err := btrfs.Open("/var/lib/drover/volumes", btrfs.Options{})
//	defer b.Shut()
//
//	<root>/<volume id>/data       the subvolume that applications see; a replica has none
//	<root>/<volume id>/@<name>    a snapshot: a read-only subvolume
//	<root>/<volume id>/rollback   what becomes the data in a rollback, and then what was it
//	<root>/<volume id>/copy.json  what the copy is: role, epoch, snapshots
//	<root>/trash/                 copies that were removed or set aside
//
// A snapshot is one instant, takes a millisecond and is also what a transfer ships: the kernel's
// stream of the difference to another snapshot, as `btrfs send` makes it and `btrfs receive`
// takes it. Two snapshots on two nodes are the same when their lineage is: the UUID of the
// subvolume that the content was first in. The kernel keeps it through every transfer, in either direction, as long as nobody makes a received snapshot writable; so Open
// never does, and writes into a clone of it. The GUID of a snapshot is its lineage.
//
// The package needs root. A transfer that was cut starts again: a stream of btrfs has no place to
// go on from.
package btrfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copydir"
)

// Options are how to store volumes. The zero value will do.
type Options = copydir.Options

// A Backend stores volumes below one directory. It implements volume.Backend.
type Backend struct {
	path string
	root *copydir.Root
	log  *slog.Logger
}

// Open opens the directory, making it if necessary, and takes it for this process alone. A place
// that is not on btrfs is cluster.ErrUnsupported.
func Open(path string, o Options) (*Backend, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("%w: the btrfs backend needs root", cluster.ErrUnsupported)
	}
	if err := os.MkdirAll(path, 0o711); err != nil {
		return nil, err
	}
	switch is, err := onBtrfs(path); {
	case err != nil:
		return nil, err
	case !is:
		return nil, fmt.Errorf("%w: %s is not on a btrfs file system", cluster.ErrUnsupported, path)
	}
	if err := available(); err != nil {
		return nil, err
	}
	root, err := copydir.Open(path, o)
	if err != nil {
		return nil, err
	}
	b := &Backend{path: path, root: root, log: o.Log}
	for _, c := range root.All() {
		if err := b.recover(of(c)); err != nil {
			c.Broken(err)
		}
	}
	return b, nil
}

// Shut releases the directory. Volumes that are open stay what they are.
func (b *Backend) Shut() error { return b.root.Shut() }

// Properties implements volume.Backend.
func (b *Backend) Properties() volume.Properties {
	free, total := b.root.Space()
	return volume.Properties{Name: "btrfs", Instant: true, AnyBase: true, Enforced: true, FreeBytes: free, TotalBytes: total}
}

// Path implements volume.Backend.
func (b *Backend) Path(id cluster.VolumeID) string { return b.root.Path(id) }

// Copies implements volume.Backend.
func (b *Backend) Copies(context.Context) ([]volume.Copy, error) {
	var copies []volume.Copy
	for _, c := range b.root.All() {
		copies = append(copies, of(c).state())
	}
	return copies, nil
}

// Create implements volume.Backend.
func (b *Backend) Create(ctx context.Context, id cluster.VolumeID, o volume.Options) error {
	return b.create(id, o, func(path string) error {
		if err := b.make(ctx, path, o.LimitBytes, createSubvolume); err != nil {
			return err
		}
		return o.Own(path)
	})
}

// create makes a primary copy with the subvolume that content makes at a path.
func (b *Backend) create(id cluster.VolumeID, o volume.Options, content func(path string) error) error {
	if err := o.NoSettings("btrfs"); err != nil {
		return fmt.Errorf("create volume %s: %w", id, err)
	}
	_, err := b.root.Add(id, copydir.Record{Role: cluster.Primary, Epoch: 1, Limit: o.LimitBytes}, func(c *copydir.Copy) error {
		return content(c.Data())
	})
	return err
}

// make makes a subvolume with a limit, or none at all.
func (b *Backend) make(ctx context.Context, path string, limit int64, make func(path string) error) error {
	err := make(path)
	if err == nil && limit > 0 {
		err = b.limit(ctx, path, limit)
	}
	if err != nil {
		err = errors.Join(err, deleteSubvolume(path))
	}
	return err
}

// find returns a copy that can be worked with.
func (b *Backend) find(id cluster.VolumeID) (*subvolumes, error) {
	c, err := b.root.Find(id)
	if err != nil {
		return nil, err
	}
	if to := c.Record().Reset; to != "" {
		return nil, fmt.Errorf("%w: volume %s: going back to snapshot %s is not finished", cluster.ErrUnavailable, id, to)
	}
	return of(c), nil
}

func of(c *copydir.Copy) *subvolumes { return &subvolumes{c} }

// Purge implements volume.Backend.
func (b *Backend) Purge(_ context.Context, before time.Time) error {
	return b.root.Purge(before, func(dir string) error {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if path := filepath.Join(dir, entry.Name()); isSubvolume(path) {
				err = errors.Join(err, deleteSubvolume(path))
			}
		}
		return errors.Join(err, os.RemoveAll(dir))
	})
}

// Resize implements volume.Backend.
func (b *Backend) Resize(ctx context.Context, id cluster.VolumeID, bytes int64) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	c.Op.Lock()
	defer c.Op.Unlock()
	if isSubvolume(c.Data()) {
		if err := b.limit(ctx, c.Data(), bytes); err != nil {
			return err
		}
	}
	return c.Update(func(r *copydir.Record) { r.Limit = bytes })
}

// Flush implements volume.Flusher.
func (b *Backend) Flush(_ context.Context, id cluster.VolumeID) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	return syncFileSystem(c.Dir)
}

// snapshotPrefix tells snapshots from everything else in the directory of a copy.
const snapshotPrefix = "@"

// snapshotFile is the file name for a snapshot's name, whatever that holds.
func snapshotFile(name cluster.SnapshotName) string {
	return snapshotPrefix + url.PathEscape(string(name))
}

// snapshotOf returns the snapshot that a file name is for.
func snapshotOf(file string) (cluster.SnapshotName, bool) {
	escaped, is := strings.CutPrefix(file, snapshotPrefix)
	name, err := url.PathUnescape(escaped)
	return cluster.SnapshotName(name), is && err == nil
}

// noSpace reports whether an error means that the file system, or a limit, is full.
func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
