package btrfs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
)

// What a snapshot holds, for the files view, is kept where it has been shipped that way:
//
//	<root>/<volume id>/manifests/@<name>
//	<root>/<volume id>/incoming             the subvolume that such a stream is applied to

func (c *subvolumes) manifestPath(name cluster.SnapshotName) string {
	return filepath.Join(c.Dir, "manifests", snapshotFile(name))
}

func (c *subvolumes) incomingPath() string { return filepath.Join(c.Dir, "incoming") }

// manifest returns what a snapshot holds. If nobody has kept it, every file is read.
func (c *subvolumes) manifest(ctx context.Context, name cluster.SnapshotName) (*dir.Manifest, error) {
	m, err := dir.LoadManifest(c.manifestPath(name))
	if errors.Is(err, os.ErrNotExist) {
		return dir.Survey(ctx, c.snapshotPath(name))
	}
	return m, err
}

// filesBase returns what the receiver of d has, or what the copy here has of d.From.
func (c *subvolumes) filesBase(ctx context.Context, d volume.Delta) (*dir.Manifest, error) {
	switch {
	case len(d.Resume) > 0:
		return dir.DecodeManifest(d.Resume)
	case d.From != "":
		return c.manifest(ctx, d.From)
	default:
		return &dir.Manifest{}, nil
	}
}

// sendFiles ships a snapshot to a backend of another kind.
func (c *subvolumes) sendFiles(ctx context.Context, d volume.Delta, snapshot cluster.Snapshot, w io.Writer) error {
	base, err := c.filesBase(ctx, d)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.manifestPath(d.To)), 0o700); err != nil {
		return err
	}
	files := dir.Files{From: d.From, Snapshot: snapshot, Base: base, Known: &dir.Manifest{}}
	_, err = dir.SendFiles(ctx, c.snapshotPath(d.To), files, c.manifestPath(d.To), w)
	return err
}

// receiveFiles makes a snapshot of what a backend of another kind ships.
func (c *subvolumes) receiveFiles(ctx context.Context, d volume.Delta, r io.Reader) (snapshot cluster.Snapshot, err error) {
	base, err := c.filesBase(ctx, d)
	if err != nil {
		return snapshot, err
	}
	if err := deleteSubvolume(c.incomingPath()); err != nil {
		return snapshot, err
	}
	if d.From != "" {
		err = snapshotSubvolume(c.snapshotPath(d.From), c.incomingPath(), false)
	} else {
		err = createSubvolume(c.incomingPath())
	}
	if err != nil {
		return snapshot, err
	}
	defer func() { err = errors.Join(err, deleteSubvolume(c.incomingPath())) }()
	snapshot, m, err := dir.ReceiveFiles(ctx, c.incomingPath(), base, r, func() error { return nil })
	if err != nil {
		return snapshot, err
	}
	if err := os.MkdirAll(filepath.Dir(c.manifestPath(d.To)), 0o700); err != nil {
		return snapshot, err
	}
	if err := m.Save(c.manifestPath(d.To)); err != nil {
		return snapshot, err
	}
	return snapshot, snapshotSubvolume(c.incomingPath(), c.snapshotPath(d.To), true)
}
