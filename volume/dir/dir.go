// Package dir stores volumes in plain directories. It needs nothing of the kernel, so it works
// everywhere, and it is the default.
//
//	b, err := dir.Open("/var/lib/drover/volumes", dir.Options{})
//	defer b.Shut()
//
//	<root>/<volume id>/data/          what applications see
//	<root>/<volume id>/copy.json      what the copy is: role, epoch, snapshots
//	<root>/<volume id>/manifests/     what each snapshot holds, by hash
//	<root>/<volume id>/kept/<name>/   the content of a snapshot that a user keeps
//	<root>/trash/                     copies that were removed or set aside
//
// A directory has no snapshots, and copying it to have one costs as much as shipping it. So a
// snapshot for a transfer is a pass over the live files: what was really shipped, by hash, is
// what the snapshot then means. Only a pass over a closed volume is one instant; a move ends with
// one. Changed files only are read, changed blocks only are shipped.
//
// The package cannot stop a writer at a size limit; it warns.
package dir

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copydir"
)

// Options are how to store volumes. The zero value will do.
type Options = copydir.Options

// A Backend stores volumes below one directory. It implements volume.Backend.
type Backend struct {
	root *copydir.Root
}

// Open opens the directory, making it if necessary, and takes it for this process alone.
func Open(path string, o Options) (*Backend, error) {
	root, err := copydir.Open(path, o)
	if err != nil {
		return nil, err
	}
	b := &Backend{root: root}
	for _, c := range root.All() {
		if err := of(c).recover(); err != nil {
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
	return volume.Properties{Name: "dir", Resumable: true, FreeBytes: free, TotalBytes: total}
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
func (b *Backend) Create(_ context.Context, id cluster.VolumeID, o volume.Options) error {
	if err := o.NoSettings("dir"); err != nil {
		return fmt.Errorf("create volume %s: %w", id, err)
	}
	_, err := b.add(id, copydir.Record{Role: cluster.Primary, Epoch: 1, Limit: o.LimitBytes}, o)
	return err
}

// add makes a copy with an empty directory.
func (b *Backend) add(id cluster.VolumeID, r copydir.Record, o volume.Options) (*copyDir, error) {
	c, err := b.root.Add(id, r, func(c *copydir.Copy) error {
		for _, dir := range []string{c.Data(), filepath.Join(c.Dir, "manifests")} {
			if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
		}
		return o.Own(c.Data())
	})
	if err != nil {
		return nil, err
	}
	return of(c), nil
}

// find returns a copy that can be worked with.
func (b *Backend) find(id cluster.VolumeID) (*copyDir, error) {
	c, err := b.root.Find(id)
	if err != nil {
		return nil, err
	}
	return of(c), nil
}

func of(c *copydir.Copy) *copyDir { return &copyDir{c} }

// Purge implements volume.Backend.
func (b *Backend) Purge(_ context.Context, before time.Time) error {
	return b.root.Purge(before, os.RemoveAll)
}

// manifestName is a file name for a snapshot's name, whatever that holds.
func manifestName(name cluster.SnapshotName) string {
	return base64.RawURLEncoding.EncodeToString([]byte(name))
}
