// Package dir stores volumes in plain directories. It needs nothing of the kernel, so it works
// everywhere, and it is the default.
//
//	b, err := dir.Open("/var/lib/drover/volumes", dir.Options{})
//	defer b.Shut()
//
//	<root>/<volume id>/data/          what applications see
//	<root>/<volume id>/copy.json      what the copy is: role, epoch, snapshots
//	<root>/<volume id>/listings/      what each snapshot holds, by hash
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
	"github.com/drover/drover/volume/copystore"
	"github.com/drover/drover/volume/files"
)

// Options are how to store volumes. The zero value will do.
type Options = copystore.Options

// A Backend stores volumes below one directory. It implements volume.Backend.
type Backend struct {
	root *copystore.Root
}

// Open opens the directory, making it if necessary, and takes it for this process alone.
func Open(path string, o Options) (*Backend, error) {
	root, err := copystore.Open(path, o, copystore.Kind{})
	if err != nil {
		return nil, err
	}
	for _, c := range root.All() {
		for _, left := range []string{sent + "*", "." + sent + "*", "manifests"} { // by a crash, and by an older version
			if err := removeMatches(filepath.Join(c.Dir, left)); err != nil {
				return nil, errors.Join(err, root.Shut())
			}
		}
	}
	return &Backend{root: root}, nil
}

// removeMatches removes what a pattern fits.
func removeMatches(pattern string) error {
	found, err := filepath.Glob(pattern)
	for _, path := range found {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// Shut releases the directory. Volumes that are open stay what they are.
func (b *Backend) Shut() error { return b.root.Shut() }

// Properties implements volume.Backend.
func (b *Backend) Properties() volume.Properties {
	return volume.Properties{Name: "dir", Resumable: true}
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

// Create implements volume.Backend.
func (b *Backend) Create(_ context.Context, id cluster.VolumeID, o volume.Options) error {
	if err := o.NoSettings("dir"); err != nil {
		return fmt.Errorf("create volume %s: %w", id, err)
	}
	_, err := b.add(id, copystore.Record{Role: cluster.Primary, Epoch: 1, Limit: o.MaximumSize}, o, nil)
	return err
}

// add makes a copy with an empty directory, and with what more adds.
func (b *Backend) add(id cluster.VolumeID, r copystore.Record, o volume.Options, more func(*copyDir) error) (*copyDir, error) {
	c, err := b.root.Add(id, r, func(c *copystore.Copy) error {
		for _, dir := range []string{c.Data(), of(c).listings()} {
			if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
		}
		if err := o.Own(c.Data()); err != nil || more == nil {
			return err
		}
		return more(of(c))
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

func of(c *copystore.Copy) *copyDir { return &copyDir{c} }

// Purge implements volume.Trasher.
func (b *Backend) Purge(_ context.Context, before time.Time) error {
	return b.root.Purge(before, files.RemoveAll)
}

// fileName is a file name for a snapshot's name, whatever that holds.
func fileName(name cluster.SnapshotName) string {
	return base64.RawURLEncoding.EncodeToString([]byte(name))
}
