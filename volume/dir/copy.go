package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copydir"
)

// A copyDir is the copy of one volume.
type copyDir struct{ *copydir.Copy }

func (c *copyDir) partialPath() string { return filepath.Join(c.Dir, "partial") }

func (c *copyDir) manifestPath(name cluster.SnapshotName) string {
	return filepath.Join(c.Dir, "manifests", manifestName(name))
}

func (c *copyDir) keptTree(name cluster.SnapshotName) string {
	return filepath.Join(c.Dir, "kept", manifestName(name))
}

// recover looks at a copy whose stream was ended by a crash, file by file, to know what has
// arrived.
func (c *copyDir) recover() error {
	if c.Record().Transit == nil {
		return nil
	}
	_, err := os.Stat(c.partialPath())
	if errors.Is(err, fs.ErrNotExist) {
		return c.survey()
	}
	return err
}

// survey hashes everything that is there and keeps the result as what has arrived.
func (c *copyDir) survey() error {
	m, err := Survey(context.Background(), c.Data())
	if err != nil {
		return err
	}
	return m.save(c.partialPath())
}

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
	if r.Transit != nil {
		s.Partial = &volume.Partial{From: r.Transit.From, To: r.Transit.To}
		if token, err := os.ReadFile(c.partialPath()); err == nil {
			s.Partial.Token = token
		}
		// The base has been written over: only the transfer under way can use this copy.
		s.Snapshots = slices.DeleteFunc(s.Snapshots, func(s cluster.Snapshot) bool { return !s.Kept })
	}
	return s
}

// newestManifest returns the manifest with the latest look at this node's files, or an empty one.
func (c *copyDir) newestManifest() *manifest {
	for _, s := range slices.Backward(c.Record().Snapshots) {
		if m, err := loadManifest(c.manifestPath(s.Name)); err == nil && !s.Kept {
			return m
		}
	}
	return &manifest{}
}

// Open implements volume.Backend.
func (b *Backend) Open(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (string, error) {
	c, err := b.find(id)
	if err != nil {
		return "", err
	}
	c.Op.Lock()
	defer c.Op.Unlock()
	if err := c.MayOpen(epoch, base); err != nil {
		return "", err
	}
	return b.Path(id), c.Opened(epoch)
}

// Close implements volume.Backend.
func (b *Backend) Close(_ context.Context, id cluster.VolumeID) error { return b.root.Close(id) }

// Demote implements volume.Backend.
func (b *Backend) Demote(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	c.Op.Lock()
	defer c.Op.Unlock()
	return c.Demote(epoch)
}

// Resize implements volume.Backend.
func (b *Backend) Resize(_ context.Context, id cluster.VolumeID, bytes int64) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	return c.Update(func(r *copydir.Record) { r.Limit = bytes })
}

// Trash implements volume.Backend.
func (b *Backend) Trash(context.Context) ([]volume.Copy, error) { return b.root.Trash() }

// Restore implements volume.Backend.
func (b *Backend) Restore(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	return b.root.Restore(id, epoch)
}

// Remove implements volume.Backend.
func (b *Backend) Remove(_ context.Context, id cluster.VolumeID) error { return b.root.Remove(id) }
