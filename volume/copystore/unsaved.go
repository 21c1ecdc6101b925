package copystore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// Unsaved is what belongs to the snapshots of a copy and had no room on its disk: a file each, in memory.
// It is gone with the process, and what depended on it is shipped in full then. The zero value is empty.
type Unsaved struct {
	mu    sync.Mutex
	files map[cluster.SnapshotName]*os.File
	// gone are those that are forgotten, and may be read still: their numbers are nobody else's before the
	// last reader has ended.
	gone    []*os.File
	readers int
}

// Has reports whether there is a file of a snapshot.
func (u *Unsaved) Has(name cluster.SnapshotName) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.files[name] != nil
}

// Read returns the paths of the files, for this process; that of a snapshot that has none is empty. Each
// leads to the same file until done is called, whatever is forgotten meanwhile.
func (u *Unsaved) Read() (path func(cluster.SnapshotName) string, done func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.readers++
	path = func(name cluster.SnapshotName) string {
		u.mu.Lock()
		defer u.mu.Unlock()
		if f := u.files[name]; f != nil {
			return fmt.Sprintf("/proc/self/fd/%d", f.Fd())
		}
		return ""
	}
	return path, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.readers--
		u.free()
	}
}

// Keep takes the file of a snapshot over, in place of any other, also of the one at a path of the disk: that
// would be found there after a restart. Should it fail the file stays the caller's.
func (u *Unsaved) Keep(name cluster.SnapshotName, f *os.File, instead string) error {
	if err := durable.Remove(instead); err != nil {
		return err
	}
	u.Forget(name)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.files == nil {
		u.files = map[cluster.SnapshotName]*os.File{}
	}
	u.files[name] = f
	return nil
}

// Forget drops the file of a snapshot, if there is one.
func (u *Unsaved) Forget(name cluster.SnapshotName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if f := u.files[name]; f != nil {
		u.gone = append(u.gone, f)
		delete(u.files, name)
	}
	u.free()
}

// forget drops all.
func (u *Unsaved) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, f := range u.files {
		u.gone = append(u.gone, f)
	}
	u.files = nil
	u.free()
}

// free gives back the memory of what nobody reads. The caller holds mu.
func (u *Unsaved) free() {
	if u.readers > 0 {
		return
	}
	for _, f := range u.gone {
		f.Close() // it is memory
	}
	u.gone = nil
}

// Save writes what is unsaved of a snapshot to its place on the disk, for which it gives up the reserve:
// once nobody writes to the copy that is for this.
func (c *Copy) Save(name cluster.SnapshotName, path string) {
	unsaved, done := c.Unsaved.Read()
	defer done()
	from := unsaved(name)
	if from == "" {
		return
	}
	if err := c.root.spare(func() error { return copyFile(from, path) }); err != nil {
		c.root.o.Log.Warn("what a snapshot holds is known as long as this agent runs: there is no room to write it down",
			"volume", c.ID, "snapshot", name, "error", err)
		return
	}
	c.Unsaved.Forget(name)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err == nil {
		err = durable.Rename(out.Name(), to)
	}
	if err != nil {
		os.Remove(out.Name()) // the error that counts is the first
	}
	return err
}
