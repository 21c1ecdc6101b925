// Package copydir keeps the copies of a node as directories with a record each: what the backends
// dir and btrfs have in common.
//
//	root, err := copydir.Open("/var/lib/drover/volumes", copydir.Options{})
//	c, err := root.Add(id, copydir.Record{Role: cluster.Primary, Epoch: 1}, makeData)
//	c, err = root.Find(id)
//	err = c.Update(func(r *copydir.Record) { r.Open = true })
//
//	<root>/lock                         held by the one process that uses it
//	<root>/<volume id>/copy.json        the record: role, epoch, snapshots
//	<root>/<volume id>/...              the content, which is the backend's business
//	<root>/trash/<id>.<why>@<when>      copies that were removed or set aside
//
// The rules that need nothing but the record are here too: which epoch may open a copy, when a
// copy has diverged. The package never looks at the content of a copy.
package copydir

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// Options are how to keep copies.
type Options struct {
	// MountRoot, if set, is a directory where each volume appears under its id, by a symbolic
	// link.
	MountRoot string
	// Log may be nil.
	Log *slog.Logger
}

// A Root is a directory of copies. Use Open.
type Root struct {
	path string
	o    Options
	lock *os.File

	mu     sync.Mutex
	copies map[cluster.VolumeID]*Copy
}

// Open opens the directory, making it if necessary, and takes it for this process alone. The
// caller ends with Shut.
func Open(path string, o Options) (*Root, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Root{path: path, o: o, copies: map[cluster.VolumeID]*Copy{}}
	for _, dir := range []string{path, r.trash(), o.MountRoot} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
	}
	if err := r.take(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, errors.Join(err, r.Shut())
	}
	for _, entry := range entries {
		if id := cluster.VolumeID(entry.Name()); cluster.IsUUID(string(id)) {
			c := &Copy{ID: id, Dir: filepath.Join(path, string(id)), root: r}
			if err := c.load(); err != nil {
				c.Broken(err)
			}
			r.copies[id] = c
		}
	}
	return r, nil
}

// take locks the directory, so that no two agents work on it.
func (r *Root) take() error {
	f, err := os.OpenFile(filepath.Join(r.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("%w: %s is in use by another agent", cluster.ErrConflict, r.path)
	}
	r.lock = f
	return nil
}

// Shut releases the directory. Volumes that are open stay what they are.
func (r *Root) Shut() error { return r.lock.Close() }

// Space returns how many bytes could be stored more, and how many the storage has.
func (r *Root) Space() (free, total int64) {
	var st unix.Statfs_t
	if err := unix.Statfs(r.path, &st); err != nil {
		return 0, 0
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize
}

// Path returns where the volume is available on this node: its place below the mount root, or
// its data directory.
func (r *Root) Path(id cluster.VolumeID) string {
	if r.o.MountRoot != "" {
		return filepath.Join(r.o.MountRoot, string(id))
	}
	return filepath.Join(r.path, string(id), dataName)
}

// dataName is the directory below that of a copy that applications see.
const dataName = "data"

// All returns the copies, sorted by volume.
func (r *Root) All() []*Copy {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Copy, 0, len(r.copies))
	for _, c := range r.copies {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Copy) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Add makes a copy. Prepare makes its content, in an empty directory in the trash, which becomes
// the copy when all of it is there; what a crash leaves is purged in time. A volume that has a copy
// is cluster.ErrExists.
func (r *Root) Add(id cluster.VolumeID, record Record, prepare func(c *Copy) error) (*Copy, error) {
	if !cluster.IsUUID(string(id)) {
		return nil, fmt.Errorf("%w: volume id %q", cluster.ErrInvalid, id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, exists := r.copies[id]; exists {
		return nil, fmt.Errorf("create volume %s: %w", id, cluster.ErrExists)
	}
	record.Changed = time.Now()
	unfinished := r.trashName(id, "unfinished")
	c := &Copy{ID: id, Dir: unfinished, root: r, record: record}
	if err := os.Mkdir(unfinished, 0o711); err != nil {
		return nil, err
	}
	err := prepare(c)
	if err == nil {
		err = c.Update(func(*Record) {})
	}
	if err == nil {
		err = r.bring(c)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(unfinished))
	}
	return c, nil
}

// bring makes a copy in the trash that of its volume. What is in its place is no copy: a container
// engine makes directories that it shall mount and that are not there. The caller holds mu.
func (r *Root) bring(c *Copy) error {
	home := filepath.Join(r.path, string(c.ID))
	if err := os.Rename(home, r.trashName(c.ID, "foreign")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(c.Dir, home); err != nil {
		return err
	}
	c.Dir = home
	r.copies[c.ID] = c
	return errors.Join(durable.SyncDir(r.trash()), durable.SyncDir(r.path))
}

// Find returns the copy of a volume, cluster.ErrNotFound, or cluster.ErrConflict if its record
// is not readable.
func (r *Root) Find(id cluster.VolumeID) (*Copy, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.copies[id]
	if c == nil {
		return nil, fmt.Errorf("volume %s: %w on this node", id, cluster.ErrNotFound)
	}
	if c.broken != nil {
		return nil, fmt.Errorf("%w: volume %s is not readable: %w", cluster.ErrConflict, id, c.broken)
	}
	return c, nil
}

// Close is that of a volume.Backend.
func (r *Root) Close(id cluster.VolumeID) error {
	c, err := r.Find(id)
	if err != nil {
		return err
	}
	c.Op.Lock()
	defer c.Op.Unlock()
	return c.close()
}

// Remove is that of a volume.Backend.
func (r *Root) Remove(id cluster.VolumeID) error {
	c, err := r.Find(id)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c.Op.Lock()
	defer c.Op.Unlock()
	return c.remove()
}
