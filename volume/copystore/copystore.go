// Package copystore keeps the copies of a node as directories with a record each: what the backends
// dir and btrfs have in common.
//
//	root, err := copystore.Open("/var/lib/drover/volumes", copystore.Options{}, copystore.Kind{})
//	c, err := root.Add(id, copystore.Record{Role: cluster.Primary, Epoch: 1}, makeData)
//	c, err = root.Find(id)
//	err = c.Update(func(r *copystore.Record) { r.Limit = 1 << 30 })
//
//	<root>/lock                         held by the one process that uses it
//	<root>/reserve                      space for records, should the disk be full
//	<root>/<volume id>/copy.json        the record: role, epoch, snapshots, what the data looked like
//	<root>/<volume id>/data             what applications see
//	<root>/<volume id>/...              the rest is the backend's business
//	<root>/<volume id>/accept           made by an operator: what is in data is the volume
//	<root>/trash/<id>.<why>@<when>      copies that were removed or set aside
//	<root>/purged/                      what is being deleted
//
// The rules that need nothing but the record are here too: which epoch may open a copy, when a
// copy has diverged. Of the content the package sees the root directory alone, by which it tells a
// volume from what has taken its place.
//
// The files, as one reads them: record, copy; look (what is there now), add, aside, trash, purge;
// witness, access, reserve, usage.
package copystore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/volume"
)

// Options are how to keep copies.
type Options struct {
	// MountRoot, if set, is a directory where each volume appears under its id, by a symbolic
	// link.
	MountRoot string
	// Private lets nobody but root and the user of this process reach the data by its path, for
	// containers: they get it mounted. Without it the owner of a volume's data, and no other user,
	// may pass through to it.
	Private bool
	// Log may be nil.
	Log *slog.Logger
}

// A Kind is how the copies of a backend differ from those of others.
type Kind struct {
	// Bare: a replica has snapshots alone, and no data directory.
	Bare bool
}

// A Root is a directory of copies. Use Open.
type Root struct {
	path    string
	o       Options
	kind    Kind
	lock    *os.File
	reserve reserve
	walks   background // over the content of copies, one at a time
	notes   background // of what copies look like
	purging sync.Mutex // held by the one that purges

	// mu is for the copies, and held for every rename into the place of a volume, out of it, and out
	// of the trash: whoever holds it sees where each copy is.
	mu     sync.Mutex
	copies map[cluster.VolumeID]*Copy
}

// Open opens the directory, making it if necessary, and takes it for this process alone. It reads
// records and nothing else, however many there are. The caller ends with Shut.
func Open(path string, o Options, kind Kind) (*Root, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Root{path: path, o: o, kind: kind, copies: map[cluster.VolumeID]*Copy{}}
	r.reserve.path, r.walks, r.notes = filepath.Join(path, "reserve"), newBackground(), newBackground()
	if err := r.makeDirectories(); err != nil {
		return nil, err
	}
	if err := r.take(); err != nil {
		return nil, err
	}
	r.keepReserve()
	if err := r.lookAtAll(); err != nil {
		return nil, errors.Join(err, r.Shut())
	}
	for _, c := range r.copies {
		c.keepSpare()
		if err := c.admit(); err != nil {
			o.Log.Error("who may pass to a volume cannot be set", "volume", c.ID, "error", err)
		}
	}
	return r, nil
}

// makeDirectories makes what is missing, and closes what an earlier version left open.
func (r *Root) makeDirectories() error {
	passable := os.FileMode(0o711)
	if r.o.Private {
		passable = 0o700
	}
	modes := map[string]os.FileMode{r.path: passable, r.trash(): 0o700, r.purged(): 0o700}
	if r.o.MountRoot != "" {
		modes[r.o.MountRoot] = passable
	}
	for dir, mode := range modes {
		if err := errors.Join(durable.MkdirAll(dir, mode), os.Chmod(dir, mode)); err != nil {
			return err
		}
	}
	return nil
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
func (r *Root) Shut() error {
	r.walks.end()
	r.notes.end()
	return r.lock.Close()
}

// Space is that of a volume.Backend.
func (r *Root) Space() (volume.Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(r.path, &st); err != nil {
		return volume.Space{}, &os.PathError{Op: "statfs", Path: r.path, Err: err}
	}
	return volume.Space{Free: int64(st.Bavail) * st.Bsize, Total: int64(st.Blocks) * st.Bsize}, nil
}

// Path returns where the volume is available on this node: its place below the mount root, or
// its data directory.
func (r *Root) Path(id cluster.VolumeID) string {
	if r.o.MountRoot != "" {
		return filepath.Join(r.o.MountRoot, string(id))
	}
	return filepath.Join(r.home(id), dataName)
}

// dataName is the directory below that of a copy that applications see.
const dataName = "data"

// home is the place of a copy.
func (r *Root) home(id cluster.VolumeID) string { return filepath.Join(r.path, string(id)) }

// Close is that of a volume.Backend. A copy whose data is lost is closed as well: nobody can write
// to it.
func (r *Root) Close(id cluster.VolumeID) error {
	c, err := r.get(id)
	if err == nil {
		err = c.readable()
	}
	if err != nil {
		return err
	}
	if err := c.Lock(); err != nil {
		return err
	}
	defer c.Op.Unlock()
	return c.close()
}
