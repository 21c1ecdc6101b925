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
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Options are how to store volumes.
type Options struct {
	// MountRoot, if set, is a directory where each volume appears under its id, by a symbolic
	// link.
	MountRoot string
	// Log may be nil.
	Log *slog.Logger
}

// A Backend stores volumes below one directory. It implements volume.Backend.
type Backend struct {
	root string
	o    Options
	lock *os.File

	mu     sync.Mutex
	copies map[cluster.VolumeID]*copyDir
}

// Open opens the directory, making it if necessary, and takes it for this process alone.
func Open(root string, o Options) (*Backend, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Backend{root: root, o: o, copies: map[cluster.VolumeID]*copyDir{}}
	for _, dir := range []string{root, b.trash(), o.MountRoot} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
	}
	if err := b.take(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, errors.Join(err, b.Shut())
	}
	for _, entry := range entries {
		id := cluster.VolumeID(entry.Name())
		if !cluster.IsUUID(string(id)) {
			continue
		}
		c := &copyDir{backend: b, id: id, dir: filepath.Join(root, string(id))}
		if err := c.load(); err != nil {
			c.broken = err
			o.Log.Error("a volume is not readable", "volume", id, "error", err)
		}
		b.copies[id] = c
	}
	return b, nil
}

// take locks the directory, so that no two agents work on it.
func (b *Backend) take() error {
	f, err := os.OpenFile(filepath.Join(b.root, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("%w: %s is in use by another agent", cluster.ErrConflict, b.root)
	}
	b.lock = f
	return nil
}

// Shut releases the directory. Volumes that are open stay what they are.
func (b *Backend) Shut() error { return b.lock.Close() }

// Properties implements volume.Backend.
func (b *Backend) Properties() volume.Properties {
	p := volume.Properties{Name: "dir", Resumable: true}
	var st unix.Statfs_t
	if err := unix.Statfs(b.root, &st); err == nil {
		p.FreeBytes, p.TotalBytes = int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize
	}
	return p
}

// Path implements volume.Backend.
func (b *Backend) Path(id cluster.VolumeID) string {
	if b.o.MountRoot != "" {
		return filepath.Join(b.o.MountRoot, string(id))
	}
	return filepath.Join(b.root, string(id), "data")
}

// Copies implements volume.Backend.
func (b *Backend) Copies(context.Context) ([]volume.Copy, error) {
	b.mu.Lock()
	all := make([]*copyDir, 0, len(b.copies))
	for _, c := range b.copies {
		all = append(all, c)
	}
	b.mu.Unlock()
	copies := make([]volume.Copy, len(all))
	for i, c := range all {
		copies[i] = c.state()
	}
	slices.SortFunc(copies, func(a, b volume.Copy) int { return cmp.Compare(a.Volume, b.Volume) })
	return copies, nil
}

// Create implements volume.Backend.
func (b *Backend) Create(_ context.Context, id cluster.VolumeID, o volume.Options) error {
	if !cluster.IsUUID(string(id)) {
		return fmt.Errorf("%w: volume id %q", cluster.ErrInvalid, id)
	}
	_, err := b.add(id, record{Role: cluster.Primary, Epoch: 1, Limit: o.LimitBytes, Changed: time.Now()}, o)
	return err
}

// add makes a copy with an empty directory. A crash in between leaves one without a record, which
// the next add takes over.
func (b *Backend) add(id cluster.VolumeID, r record, o volume.Options) (*copyDir, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, exists := b.copies[id]; exists {
		return nil, fmt.Errorf("create volume %s: %w", id, cluster.ErrExists)
	}
	c := &copyDir{backend: b, id: id, dir: filepath.Join(b.root, string(id)), record: r}
	for _, dir := range []string{c.dir, c.data(), filepath.Join(c.dir, "manifests")} {
		if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	if o.Owner != os.Getuid() || o.Group != os.Getgid() {
		if err := os.Lchown(c.data(), o.Owner, o.Group); err != nil && os.Getuid() == 0 {
			return nil, err
		}
	}
	if err := c.update(func(*record) {}); err != nil {
		return nil, err
	}
	b.copies[id] = c
	return c, nil
}

func (b *Backend) find(id cluster.VolumeID) (*copyDir, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.copies[id]
	if c == nil {
		return nil, fmt.Errorf("volume %s: %w on this node", id, cluster.ErrNotFound)
	}
	if c.broken != nil {
		return nil, fmt.Errorf("%w: volume %s is not readable: %w", cluster.ErrConflict, id, c.broken)
	}
	return c, nil
}

func (b *Backend) trash() string { return filepath.Join(b.root, "trash") }

// Purge implements volume.Backend.
func (b *Backend) Purge(_ context.Context, before time.Time) error {
	entries, err := os.ReadDir(b.trash())
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		// Names end in the time at which they came: <id>.<why>@20060102T150405.000Z.
		_, stamp, _ := strings.Cut(entry.Name(), "@")
		put, err := time.Parse(trashStamp, stamp)
		if err == nil && put.Before(before) {
			errs = append(errs, os.RemoveAll(filepath.Join(b.trash(), entry.Name())))
		}
	}
	return errors.Join(errs...)
}

const trashStamp = "20060102T150405.000Z"

// manifestName is a file name for a snapshot's name, whatever that holds.
func manifestName(name cluster.SnapshotName) string {
	return base64.RawURLEncoding.EncodeToString([]byte(name))
}
