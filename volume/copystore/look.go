package copystore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// What is there now counts, not what was there when the process began: an operator may take a
// directory away, put one back or mend a record, and nothing has to be started again.

// ErrBroken: a copy is there that cannot be worked with, because of its record or its data. It goes
// with cluster.ErrConflict.
var ErrBroken = errors.New("the copy is broken")

// All returns the copies, sorted by volume.
func (r *Root) All() []*Copy {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.lookAtAll(); err != nil {
		r.o.Log.Error("the copies of this node cannot be listed; these are those of an earlier look", "error", err)
	}
	all := make([]*Copy, 0, len(r.copies))
	for _, c := range r.copies {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Copy) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Find returns the copy of a volume, cluster.ErrNotFound, or cluster.ErrConflict with ErrBroken if
// its record is not readable or its data is not what it was.
func (r *Root) Find(id cluster.VolumeID) (*Copy, error) {
	c, err := r.get(id)
	if err == nil {
		err = c.usable()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// get returns the copy of a volume, broken or not.
func (r *Root) get(id cluster.VolumeID) (*Copy, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.look(id); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("volume %s: %w on this node", id, cluster.ErrNotFound)
}

// lookAtAll holds what is known against what is there. The caller holds mu.
func (r *Root) lookAtAll() error {
	d, err := os.Open(r.path)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	there := make(map[cluster.VolumeID]bool, len(names))
	for _, name := range names {
		there[cluster.VolumeID(name)] = true
		r.look(cluster.VolumeID(name))
	}
	for id := range r.copies {
		if !there[id] {
			r.look(id)
		}
	}
	return nil
}

// look holds what is known of one copy against what is there, and returns it; nil is: there is none.
// The caller holds mu.
func (r *Root) look(id cluster.VolumeID) *Copy {
	if !cluster.IsUUID(string(id)) {
		return nil
	}
	c := r.copies[id]
	now, err := markOf(r.home(id))
	switch {
	case err != nil: // nobody knows what is there, which is not the same as nothing
		r.o.Log.Error("the copy of a volume cannot be looked at", "volume", id, "error", err)
	case now.dir == 0 && c == nil:
	case now.dir == 0:
		r.o.Log.Error("the copy of a volume has been taken away", "volume", id, "from", c.Dir)
		delete(r.copies, id)
	case c == nil && now.record == 0 && r.isShell(id):
	case c == nil, c.marked().dir != now.dir:
		c = &Copy{ID: id, Dir: r.home(id), root: r}
		c.Used.walks = &r.walks
		c.load()
		r.copies[id] = c
		if err := c.readable(); err != nil {
			r.o.Log.Error("a volume is not readable", "volume", id, "error", err)
		}
	case c.marked() != now:
		c.reload()
	}
	return r.copies[id]
}

// reload takes in a record that somebody else has written. While the copy is worked with that waits.
func (c *Copy) reload() {
	if !c.Op.TryLock() {
		return
	}
	defer c.Op.Unlock()
	if !c.writing.TryLock() {
		return
	}
	defer c.writing.Unlock()
	if now, err := markOf(c.Dir); err != nil || c.marked() == now { // our own, which was just being written
		return
	}
	c.load()
	c.root.o.Log.Warn("the record of a volume was changed by somebody else", "volume", c.ID, "readable", c.readable() == nil)
}

// isShell reports whether a directory is what a container engine makes for a mount that is not there:
// no copy, nor anything that once was one.
func (r *Root) isShell(id cluster.VolumeID) bool {
	entries, err := os.ReadDir(r.home(id))
	if err != nil || len(entries) == 0 {
		return err == nil
	}
	inside, err := os.ReadDir(filepath.Join(r.home(id), dataName))
	return len(entries) == 1 && err == nil && len(inside) == 0
}

// usable says why the copy cannot be worked with, if so, and the ways out.
func (c *Copy) usable() error {
	if err := c.readable(); err != nil {
		return err
	}
	err := c.trouble()
	if err == nil {
		return nil
	}
	return cluster.WithHint(fmt.Errorf("%w: volume %s: %w: %w", cluster.ErrConflict, c.ID, ErrBroken, err), c.mend(err))
}

// mend says what an operator can do here about a copy that cannot be worked with.
func (c *Copy) mend(why error) string {
	switch {
	case c.readable() != nil:
		return fmt.Sprintf(mendRecord, c.Dir)
	case errors.Is(why, errEmptied):
		return fmt.Sprintf("put the data back into %s; or, if there is to be nothing in it: touch %s", c.Data(), c.acceptPath())
	}
	// A directory that is made anew is another one, whatever is put into it.
	return fmt.Sprintf("put the data back into %s if need be, and say that it is the volume: touch %s", c.Data(), c.acceptPath())
}

const mendRecord = "mend %s, or move it away; it is looked at again at once"

// readable says what is wrong with the record, or was when the backend was opened.
func (c *Copy) readable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		return nil
	}
	return cluster.WithHint(fmt.Errorf("%w: volume %s is not readable: %w: %w", cluster.ErrConflict, c.ID, ErrBroken, c.broken),
		fmt.Sprintf(mendRecord, c.Dir))
}

// trouble says why the copy cannot be worked with; nil if it can, or an operator has said so.
func (c *Copy) trouble() error {
	c.mu.Lock()
	broken := c.broken
	c.mu.Unlock()
	if broken != nil {
		return broken
	}
	lost := c.lost()
	if lost != nil && !c.accept(lost) {
		return lost
	}
	if lost == nil {
		c.forgetConsent()
	}
	return nil
}

// forgetConsent takes away an operator's word on a copy with which nothing is wrong: it must not count for
// the next thing that is.
func (c *Copy) forgetConsent() {
	if _, err := os.Lstat(c.acceptPath()); err != nil {
		return
	}
	if err := os.Remove(c.acceptPath()); err == nil {
		c.root.o.Log.Warn("nothing is wrong with a copy that an operator has accepted", "volume", c.ID)
	}
}

// A mark tells one state of a copy's directory and record from another.
type mark struct {
	dir, record uint64 // inode numbers; zero: it is not there
	size, mtime int64
}

func markOf(dir string) (mark, error) {
	var m mark
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); gone(err) {
		return m, nil
	} else if err != nil {
		return m, &os.PathError{Op: "look at", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return m, nil
	}
	m.dir = st.Ino
	record := filepath.Join(dir, recordName)
	if err := unix.Lstat(record, &st); err == nil {
		m.record, m.size, m.mtime = st.Ino, st.Size, st.Mtim.Nano()
	} else if !gone(err) {
		return m, &os.PathError{Op: "look at", Path: record, Err: err}
	}
	return m, nil
}

func (c *Copy) marked() mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mark
}

// gone reports whether an error is that of something that is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
