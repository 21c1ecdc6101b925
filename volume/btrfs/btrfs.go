// Package btrfs stores volumes as subvolumes of a btrfs file system.
//
//	b, err := btrfs.Open("/var/lib/drover/volumes", btrfs.Options{})
//	defer b.Shut()
//
//	<root>/<volume id>/data       the subvolume that applications see; a replica has none
//	<root>/<volume id>/@<name>    a snapshot: a read-only subvolume
//	<root>/<volume id>/incoming   a snapshot that is arriving
//	<root>/<volume id>/rollback   what becomes the data in a rollback, and then what was it
//	<root>/<volume id>/listings/  what snapshots hold, file by file: see files.go
//	<root>/<volume id>/copy.json  what the copy is: role, epoch, snapshots
//	<root>/trash/                 copies that were removed or set aside
//
// A snapshot is one instant, takes a millisecond and is also what a transfer ships: the kernel's
// stream of the difference to another snapshot, as `btrfs send` makes it and `btrfs receive`
// takes it. The kernel knows the same snapshot on two nodes by its lineage: the UUID of the subvolume
// that the content was first in. It keeps that through every transfer, in either direction, as long
// as nobody makes a received snapshot writable; so Open never does, and writes into a clone of it.
// The lineage is the GUID of a snapshot that was made here; one that has come by files has that of
// its sender, and a lineage that begins here.
//
// The package needs root. A transfer that was cut starts again, since a stream of btrfs has no place to
// go on from; but for one of files, from a backend of another kind: see partial.go.
package btrfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
)

// Options are how to store volumes. The zero value will do.
type Options = copystore.Options

// A Backend stores volumes below one directory. It implements volume.Backend.
type Backend struct {
	path string
	root *copystore.Root
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
	if err := durable.MkdirAll(path, 0o700); err != nil {
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
	root, err := copystore.Open(path, o, copystore.Kind{Bare: true})
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
	return volume.Properties{Name: "btrfs", Instant: true, AnyBase: true, Enforced: true,
		Proof: "the stream's checksums, and the lineage of the snapshot"}
}

// Space implements volume.Backend.
func (b *Backend) Space(context.Context) (volume.Space, error) { return b.root.Space() }

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

// state is the copy as the contract shows it. A snapshot that is not as it was left is none any more:
// nothing is built on it, and the next transfer goes by another one or in full.
func (c *subvolumes) state() volume.Copy {
	s := c.State()
	if s.Warning != "" {
		return s
	}
	content, record, changes := c.Data(), c.Record(), s.Open
	s.Partial = partial(record)
	s.Snapshots = slices.DeleteFunc(s.Snapshots, func(snapshot cluster.Snapshot) bool {
		_, err := c.intact(record, snapshot.Name)
		if err == nil {
			return false
		}
		s.Warning = cluster.Message(err)
		if s.Head == snapshot.GUID {
			s.Head = ""
		}
		return true
	})
	if s.Role == cluster.Replica && len(s.Snapshots) > 0 {
		content = c.snapshotPath(s.Snapshots[len(s.Snapshots)-1].Name)
	} else if s.Partial != nil {
		content, changes = c.incomingPath(), true
	}
	s.UsedBytes = c.used(content, changes)
	return s
}

// Create implements volume.Backend.
func (b *Backend) Create(ctx context.Context, id cluster.VolumeID, o volume.Options) error {
	return b.create(id, o, func(path string) error {
		if err := b.make(ctx, path, o.MaximumSize, createSubvolume); err != nil {
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
	_, err := b.root.Add(id, copystore.Record{Role: cluster.Primary, Epoch: 1, Limit: o.MaximumSize}, func(c *copystore.Copy) error {
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

// subvolumes is the copy of one volume.
type subvolumes struct{ *copystore.Copy }

func of(c *copystore.Copy) *subvolumes { return &subvolumes{c} }

// Resize implements volume.Backend.
func (b *Backend) Resize(ctx context.Context, id cluster.VolumeID, bytes int64) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	if err := c.Lock(); err != nil {
		return err
	}
	defer c.Op.Unlock()
	if isSubvolume(c.Data()) {
		if err := b.limit(ctx, c.Data(), bytes); err != nil {
			return err
		}
	}
	return c.Update(func(r *copystore.Record) { r.Limit = bytes })
}

// Flush implements volume.Flusher.
func (b *Backend) Flush(_ context.Context, id cluster.VolumeID) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	return syncFileSystem(c.Dir)
}
