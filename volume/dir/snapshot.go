package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/copydir"
)

// Snapshot implements volume.Backend.
func (b *Backend) Snapshot(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (cluster.Snapshot, error) {
	c, err := b.find(id)
	if err != nil {
		return cluster.Snapshot{}, err
	}
	c.Op.Lock()
	defer c.Op.Unlock()
	record := c.Record()
	if s, err := record.Snapshot(name); err == nil {
		return s, nil
	}
	s := cluster.Snapshot{Name: name, GUID: cluster.NewUUID(), Created: time.Now().UTC(), Bytes: c.Used.Get(c.Data(), record.Open), Kept: keep}
	if keep {
		if err := c.keep(ctx, name); err != nil {
			return cluster.Snapshot{}, fmt.Errorf("snapshot %s of volume %s: %w", name, id, err)
		}
	}
	return s, c.Update(func(r *copydir.Record) { r.Add(s) })
}

// Drop implements volume.Backend.
func (b *Backend) Drop(_ context.Context, id cluster.VolumeID, name cluster.SnapshotName) error {
	c, err := b.find(id)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.Update(func(r *copydir.Record) { r.Forget(name) }); err != nil {
		return err
	}
	return errors.Join(removeIfThere(c.manifestPath(name)), os.RemoveAll(c.keptTree(name)))
}

// keep copies the files as they are now, sharing their blocks where the file system can. The tree
// appears under its name when it is whole.
func (c *copyDir) keep(ctx context.Context, name cluster.SnapshotName) error {
	final := c.keptTree(name)
	partial := final + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.MkdirAll(partial, 0o700); err != nil {
		return err
	}
	if err := c.copyTree(ctx, partial); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	return os.Rename(partial, final)
}

func (c *copyDir) copyTree(ctx context.Context, to string) error {
	m, err := scan(ctx, c.Data())
	if err != nil {
		return err
	}
	t, err := openTree(to, &manifest{})
	if err != nil {
		return err
	}
	defer t.close()
	for _, e := range m.Entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := t.put(e); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		if e.Kind == kindFile {
			if err := copyContent(t.file, filepath.Join(c.Data(), e.Path)); err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
		}
	}
	return t.finish()
}

// copyContent fills a file with the content of another one, by a reflink if possible.
func copyContent(to *os.File, from string) error {
	source, err := os.OpenFile(from, os.O_RDONLY|noFollow, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // removed since the scan: it stays zeros
	}
	if err != nil {
		return err
	}
	defer source.Close()
	if unix.IoctlFileClone(int(to.Fd()), int(source.Fd())) == nil {
		return nil
	}
	_, err = io.Copy(to, source) // copy_file_range, if the kernel can
	return err
}
