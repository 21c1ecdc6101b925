package copystore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// A Witness is what the data of a copy looked like, so that an empty directory, or another one, in
// its place does not pass for the volume: a disk that is not mounted, a restore into the wrong
// place, somebody who cleaned up while the agent was down.
//
// What an application does to its own volume is no loss: as long as the copy is open, and was seen
// to be what it was, the witness follows.
type Witness struct {
	// Inode and Created tell the root directory from any other.
	Inode   uint64    `json:"inode"`
	Created time.Time `json:"born,omitzero"`
	// Names are some of those in it, as evidence. None: it was empty.
	Names []string  `json:"names,omitempty"`
	Seen  time.Time `json:"seen"`
}

const (
	// witnessNames bounds the names of a witness.
	witnessNames = 16
	// witnessAge is how old a look at an open copy may be before there is another.
	witnessAge = time.Second
	// acceptName is the file by which an operator makes what is there the volume.
	acceptName = "accept"
)

func (c *Copy) acceptPath() string { return filepath.Join(c.Dir, acceptName) }

// witnessOf looks at a data directory.
func witnessOf(data string) (*Witness, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, data, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE|unix.STATX_INO|unix.STATX_BTIME, &st)
	if err != nil {
		return nil, &os.PathError{Op: "look at", Path: data, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, fmt.Errorf("look at %s: it is no directory", data)
	}
	w := &Witness{Inode: st.Ino, Seen: time.Now().UTC()}
	if st.Mask&unix.STATX_BTIME != 0 {
		w.Created = written(time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)))
	}
	w.Names, err = someNames(data)
	return w, err
}

func someNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return []string{"?"}, nil // its owner lets us not look; that is not the same as nothing
	}
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(witnessNames)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.Sort(names)
	return names, errors.Join(err, d.Close())
}

// sameRoot reports whether both are of the same directory.
func (w *Witness) sameRoot(other *Witness) bool {
	return w.Inode == other.Inode && w.Created.Equal(other.Created)
}

// evidence is what the witness saw, for people.
func (w *Witness) evidence() string {
	held := "nothing"
	if len(w.Names) > 0 {
		held = strings.Join(w.Names, ", ")
	}
	if len(w.Names) == witnessNames {
		held += " ..."
	}
	return fmt.Sprintf("it held %s when last seen at %s", held, w.Seen.Format(time.RFC3339))
}

// lost says what has become of the data, if it is not what the witness saw.
func (c *Copy) lost() error {
	c.mu.Lock()
	r, trusted := c.record, c.trusted
	c.mu.Unlock()
	if r.Role == cluster.Replica && c.root.kind.Bare || r.Reset != "" {
		return nil
	}
	now, err := witnessOf(c.Data())
	if err == nil {
		err = now.contradicts(r.Witness, r.Open && trusted)
	} else if gone(err) {
		err = errors.New("there is no data")
		if r.Witness != nil {
			err = fmt.Errorf("there is no data, %s", r.Witness.evidence())
		}
	}
	if d := r.Doubted(); err == nil && d != nil && !d.Accepted {
		return errors.New(d.What)
	}
	if err == nil && !trusted {
		c.mu.Lock()
		c.trusted = true
		c.mu.Unlock()
	}
	return err
}

// errEmptied: the directory is the one that it was.
var errEmptied = errors.New("data holds nothing")

// contradicts says why what is there now cannot be what was seen then. What an application may do to
// its volume while it is open is none.
func (now *Witness) contradicts(then *Witness, open bool) error {
	switch {
	case then == nil:
		return nil
	case !now.sameRoot(then):
		return fmt.Errorf("data is another directory than it was, %s", then.evidence())
	case !open && len(now.Names) == 0 && len(then.Names) > 0:
		return fmt.Errorf("%w, %s", errEmptied, then.evidence())
	}
	return nil
}

// accept makes what is there the volume, if an operator has said so. Its content is that of no
// snapshot then.
func (c *Copy) accept(lost error) bool {
	if _, err := os.Lstat(c.acceptPath()); err != nil {
		return false
	}
	if _, err := witnessOf(c.Data()); err != nil {
		return false // there is nothing that could be accepted
	}
	err := c.update(durable.WriteFile, func(_ Record, next *Record) (err error) {
		next.Accepted = &cluster.Accepted{At: time.Now().UTC(), Head: next.Head, Although: cluster.Message(lost)}
		if d := next.Doubted(); d != nil { // of whom this is the owner, who is to go on from there
			next.Doubt = &Doubt{Head: d.Head, What: d.What, Accepted: true}
		} else {
			next.Head = ""
		}
		next.Transit = nil
		next.Witness, err = witnessOf(c.Data())
		return err
	})
	if err == nil {
		err = durable.Remove(c.acceptPath())
	}
	if err != nil {
		c.root.o.Log.Error("what an operator accepts as a volume cannot be noted", "volume", c.ID, "error", err)
		return false
	}
	c.root.o.Log.Warn("an operator has accepted what is there as the volume", "volume", c.ID, "although", lost)
	return true
}

// witness keeps the witness of a record that changes.
func (c *Copy) witness(before Record, next *Record) error {
	switch {
	case next.Role == cluster.Replica && c.root.kind.Bare, next.Transit != nil:
		next.Witness = nil // there is no data, or it is being made
		return nil
	case before.Witness == nil, before.Transit != nil, before.Reset != next.Reset,
		next.Role == cluster.Replica && next.Head != before.Head:
		// Nobody has looked yet, or the backend has made the content.
	case !before.Open && !next.Open, c.lost() != nil:
		return nil // nobody may have changed it; or somebody has, which must not be forgotten
	}
	now, err := witnessOf(c.Data())
	if gone(err) {
		return nil // lost says so
	}
	if err != nil {
		return err
	}
	if len(now.Names) > 0 && (next.Witness == nil || len(next.Witness.Names) == 0) {
		// A loss of power must not leave a witness of names that are gone.
		if err := durable.SyncDir(c.Data()); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	next.Witness = now
	c.mu.Lock()
	c.trusted = true
	c.mu.Unlock()
	return nil
}

// observe looks at an open copy now and then. That it holds something, or nothing any more, is noted
// at once; all else at Close.
func (c *Copy) observe(r Record) {
	c.mu.Lock()
	due := r.Open && c.trusted && !c.noting && time.Since(c.seen) >= witnessAge
	if due {
		c.seen = time.Now()
	}
	c.mu.Unlock()
	if !due {
		return
	}
	now, err := someNames(c.Data())
	if err == nil && r.Witness != nil && (len(now) == 0) == (len(r.Witness.Names) == 0) {
		return
	}
	// Whoever lists copies does not wait for the disk.
	c.setNoting(true)
	if !c.root.notes.start(func(context.Context) {
		c.noteWitness()
		c.setNoting(false)
	}) {
		c.setNoting(false)
	}
}

func (c *Copy) setNoting(noting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noting = noting
}

// noteWitness writes down what an open copy looks like, unless it is worked with: then the next look
// does.
func (c *Copy) noteWitness() {
	if !c.Op.TryLock() {
		return
	}
	defer c.Op.Unlock()
	c.root.mu.Lock()
	here := c.root.copies[c.ID] == c // as long as we hold Op it stays here
	c.root.mu.Unlock()
	if !here || !c.Record().Open {
		return
	}
	if err := c.Update(func(*Record) {}); err != nil {
		c.root.o.Log.Warn("what a volume holds cannot be noted", "volume", c.ID, "error", err)
	}
}
