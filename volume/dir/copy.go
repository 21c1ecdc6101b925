package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
	"github.com/drover/drover/volume/files"
)

// A copyDir is the copy of one volume.
type copyDir struct{ *copystore.Copy }

// partialPath is the listing of what has arrived of a transfer.
func (c *copyDir) partialPath() string { return filepath.Join(c.Dir, "partial") }

// listed reports whether there is a listing of a snapshot.
func (c *copyDir) listed(name cluster.SnapshotName) bool {
	return c.Unsaved.Has(name) || exists(c.savePath(name))
}

// A lookup says where the listing of a snapshot is.
type lookup func(cluster.SnapshotName) string

// read is for whoever reads listings, until done is called.
func (c *copyDir) read() (listing lookup, done func()) {
	unsaved, done := c.Unsaved.Read()
	return func(name cluster.SnapshotName) string { return cmp.Or(unsaved(name), c.savePath(name)) }, done
}

// savePath is where the listing of a snapshot belongs. An application that has filled the disk leaves no
// room for it.
func (c *copyDir) savePath(name cluster.SnapshotName) string {
	return filepath.Join(c.listings(), fileName(name))
}

// removeListing forgets what a snapshot held.
func (c *copyDir) removeListing(name cluster.SnapshotName) error {
	c.Unsaved.Forget(name)
	return removeIfThere(c.savePath(name))
}

func (c *copyDir) listings() string { return filepath.Join(c.Dir, "listings") }

// sentPath is where the listing of what is just being sent goes if that is written down already. It begins
// with sent.
func (c *copyDir) sentPath() string { return filepath.Join(c.Dir, sent+cluster.NewUUID()) }

const sent = "sent"

func (c *copyDir) keptTree(name cluster.SnapshotName) string {
	return filepath.Join(c.keptTrees(), fileName(name))
}

func (c *copyDir) keptTrees() string { return filepath.Join(c.Dir, "kept") }

// state is the copy as the contract shows it.
func (c *copyDir) state() volume.Copy {
	s := c.State()
	if s.Warning != "" {
		return s
	}
	r := c.Record()
	s.UsedBytes = c.Used.Get(c.Data(), r.Open)
	if r.Limit > 0 && s.UsedBytes > r.Limit {
		s.Warning = fmt.Sprintf("uses %d MiB, its limit is %d MiB; a plain directory cannot stop a writer", s.UsedBytes>>20, r.Limit>>20)
	}
	if r.Role == cluster.Replica {
		// What nobody has written down cannot be built on.
		s.Snapshots = slices.DeleteFunc(s.Snapshots, func(s cluster.Snapshot) bool { return !s.Kept && !c.listed(s.Name) })
	}
	if r.Transit != nil {
		s.Partial = &volume.Partial{From: r.Transit.From, To: r.Transit.To, Token: []byte(r.Transit.Token), Listed: true}
		// The base has been written over: only the transfer under way can use this copy.
		s.Snapshots = slices.DeleteFunc(s.Snapshots, func(s cluster.Snapshot) bool { return !s.Kept })
	}
	return s
}

// newestListing returns the path of the listing with the latest look at this node's files; empty:
// nobody has looked.
func (c *copyDir) newestListing(listing lookup) string {
	for _, s := range slices.Backward(c.Record().Snapshots) {
		if !s.Kept && c.listed(s.Name) {
			return listing(s.Name)
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// verify holds the content of a closed copy against the snapshot that it is said to be at. A
// snapshot that was never shipped has no listing, and nothing to hold against.
func (c *copyDir) verify(ctx context.Context) error {
	r := c.Record()
	listing, done := c.read()
	defer done()
	for _, s := range r.Snapshots {
		if s.GUID == r.Head && c.listed(s.Name) {
			return files.Verify(ctx, c.Data(), listing(s.Name))
		}
	}
	return nil
}

// Open implements volume.Backend. A replica is held against its listing first: what was done to it
// from outside must not pass for the volume.
func (b *Backend) Open(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (string, error) {
	c, err := b.find(id)
	if err != nil {
		return "", err
	}
	if err := c.Lock(); err != nil {
		return "", err
	}
	defer c.Op.Unlock()
	if err := c.MayOpen(epoch, base); err != nil {
		return "", err
	}
	if r := c.Record(); r.Role == cluster.Replica && r.Doubted() == nil {
		if err := c.verify(ctx); err != nil {
			return "", fmt.Errorf("open volume %s: %w", id, c.doubt(err))
		}
	}
	return b.Path(id), c.Opened(epoch)
}

// doubt notes that the owner's copy is not what it is said to be: an operator has to choose.
func (c *copyDir) doubt(err error) error {
	var changed *files.Changed
	if !errors.As(err, &changed) {
		return err
	}
	return errors.Join(err, c.Update(func(r *copystore.Record) { r.Doubt = &copystore.Doubt{Head: r.Head, What: changed.Error()} }))
}

// Close implements volume.Backend.
func (b *Backend) Close(_ context.Context, id cluster.VolumeID) error { return b.root.Close(id) }

// Demote implements volume.Backend. What was written behind our back is found here.
func (b *Backend) Demote(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	c, err := b.find(id)
	if errors.Is(err, copystore.ErrBroken) {
		return b.root.Abandon(id, epoch)
	}
	if err != nil {
		return err
	}
	if err := c.Lock(); err != nil {
		return err
	}
	defer c.Op.Unlock()
	if r := c.Record(); r.Role == cluster.Primary && !r.Open && r.Head != "" {
		c.saveHead(r)
		var changed *files.Changed
		err := c.verify(ctx)
		if errors.As(err, &changed) {
			err = c.Update(func(r *copystore.Record) { r.Head = "" })
		}
		if err != nil {
			return fmt.Errorf("demote volume %s: %w", id, err)
		}
	}
	return c.Demote(epoch)
}

// saveHead writes down what the copy is at, should it be known in memory alone: the replica that it becomes
// is worth as much as that.
func (c *copyDir) saveHead(r copystore.Record) {
	for _, s := range r.Snapshots {
		if s.GUID == r.Head {
			c.Save(s.Name, c.savePath(s.Name))
		}
	}
}

// Resize implements volume.Resizer.
func (b *Backend) Resize(_ context.Context, id cluster.VolumeID, bytes int64) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	return c.Update(func(r *copystore.Record) { r.Limit = bytes })
}

// Trash implements volume.Trasher.
func (b *Backend) Trash(context.Context) ([]volume.Copy, error) { return b.root.Trash() }

// Aside implements volume.Trasher.
func (b *Backend) Aside(context.Context) ([]cluster.SetAside, error) { return b.root.Aside() }

// Restore implements volume.Trasher.
func (b *Backend) Restore(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	return b.root.Restore(id, epoch)
}

// Remove implements volume.Backend.
func (b *Backend) Remove(_ context.Context, id cluster.VolumeID) error { return b.root.Remove(id) }

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
