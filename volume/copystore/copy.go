package copystore

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/inuse"
)

// A Copy is the copy of one volume.
type Copy struct {
	ID  cluster.VolumeID
	Dir string
	// Op is held by whatever changes the content or the role, however long that takes. Lock and TryLock
	// take it.
	Op sync.Mutex
	// Used is how much the content takes up.
	Used Usage
	// Unsaved is what of the copy's own files is in memory.
	Unsaved Unsaved

	root    *Root
	writing sync.Mutex // held while the record is written

	mu     sync.Mutex // for what follows; held briefly
	record Record
	mark   mark  // of the record as it was read or written last
	moved  bool  // it was set aside: what is at its place now is another copy
	broken error // why the copy cannot be worked with: its record, or what the backend found
	// trusted: the data was what the witness says since the record was read. While the copy is open
	// from then on, what its application does to it is no loss.
	trusted bool
	seen    time.Time // when an open copy was looked at last
	noting  bool      // what was seen then is about to be noted
}

// Lock takes Op, and returns cluster.ErrConflict if the copy was set aside meanwhile: what was found
// before a wait need not be there after it.
func (c *Copy) Lock() error {
	c.Op.Lock()
	if c.isHere() {
		return nil
	}
	c.Op.Unlock()
	return fmt.Errorf("%w: volume %s: the copy was set aside meanwhile", cluster.ErrConflict, c.ID)
}

// TryLock is Lock for those who do not wait: a copy that is worked with is cluster.ErrConflict too.
func (c *Copy) TryLock() error {
	if !c.Op.TryLock() {
		return fmt.Errorf("%w: volume %s: the copy is busy", cluster.ErrConflict, c.ID)
	}
	if c.isHere() {
		return nil
	}
	c.Op.Unlock()
	return fmt.Errorf("%w: volume %s: the copy was set aside meanwhile", cluster.ErrConflict, c.ID)
}

func (c *Copy) isHere() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.moved
}

// Data is the directory that applications see.
func (c *Copy) Data() string { return filepath.Join(c.Dir, dataName) }

// load reads the record. The caller is the only one to use c, or holds Op and writing.
func (c *Copy) load() {
	var r Record
	now, err := markOf(c.Dir)
	b, readErr := os.ReadFile(filepath.Join(c.Dir, recordName))
	if err = cmp.Or(err, readErr); err == nil {
		r, err = parseRecord(b)
	} else if gone(err) {
		err = fmt.Errorf("there is no %s", recordName)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record, c.mark, c.trusted, c.broken = r, now, false, err
}

// Broken notes that the copy is not readable, and why. It is listed with a warning, and nothing
// else can be done with it until its record is another one. Only while the backend is opened.
func (c *Copy) Broken(why error) {
	c.mu.Lock()
	c.broken = why
	c.mu.Unlock()
	c.root.o.Log.Error("a volume is not readable", "volume", c.ID, "error", why)
}

// Record returns the record as it is now.
func (c *Copy) Record() Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.clone()
}

// Update changes the record and makes the change durable before it is seen. It waits for the disk
// twice: for the content, without which some file systems have a record of no bytes after a cut, and
// for the name, without which the change may be undone.
func (c *Copy) Update(change func(*Record)) error {
	return c.update(durable.WriteFile, func(before Record, next *Record) error {
		change(next)
		return c.witness(before, next)
	})
}

// Later changes the record as it is seen, and writes it with the next Update: for what is as well
// forgotten if the process ends before.
func (c *Copy) Later(change func(*Record)) {
	c.writing.Lock()
	defer c.writing.Unlock()
	next := c.Record()
	change(&next)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record = next
}

// Note is Update for a change that is as well forgotten when the power fails: it waits for the content
// alone, and the next Update of the copy for both. Should the power fail before
// that the record is the old one, and whole.
func (c *Copy) Note(change func(*Record)) error {
	return c.update(durable.ReplaceFile, func(before Record, next *Record) error {
		change(next)
		return c.witness(before, next)
	})
}

func (c *Copy) update(write func(string, []byte, os.FileMode) error, change func(before Record, next *Record) error) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.isHere() {
		return fmt.Errorf("%w: volume %s: the copy was set aside meanwhile", cluster.ErrConflict, c.ID)
	}
	before, next := c.Record(), c.Record()
	if err := change(before, &next); err != nil {
		return err
	}
	text, err := next.text()
	if err != nil {
		return err
	}
	err = c.root.spare(func() error { return write(filepath.Join(c.Dir, recordName), text, 0o600) })
	if err != nil {
		return err
	}
	now, err := markOf(c.Dir)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record, c.mark = next, now
	return err
}

// keepSpare keeps space for the record: while an application fills the disk nothing that is given up for
// the record would reach it. Only while nobody else knows the copy.
func (c *Copy) keepSpare() {
	err := durable.KeepSpare(c.Dir)
	if err == nil && c.broken == nil {
		if err = durable.FillUp(filepath.Join(c.Dir, recordName)); err == nil {
			c.mark, err = markOf(c.Dir)
		}
	}
	if err != nil {
		c.root.o.Log.Warn("no space can be kept for the record of a volume", "volume", c.ID, "error", err)
	}
}

// State is the copy as the contract shows it, as far as its record tells. One that cannot be worked
// with has a warning and no snapshots: nothing can be built on it.
func (c *Copy) State() volume.Copy {
	err := c.trouble()
	r := c.Record()
	if err != nil {
		why := cluster.Message(err)
		return volume.Copy{Volume: c.ID, Role: roleOf(r), Epoch: r.Epoch, Open: r.Open, Path: c.root.Path(c.ID), MaximumSize: r.Limit,
			Changed: r.Changed, Lost: why, Mend: c.mend(err), Warning: "it cannot be used: " + why, Obstacle: why}
	}
	c.observe(r)
	if r.Reset != "" {
		r.Rollback = ""
	}
	return volume.Copy{Volume: c.ID, Role: r.Role, Epoch: r.Epoch, Open: r.Open, Path: c.root.Path(c.ID), Head: r.Head,
		Snapshots: r.Snapshots, MaximumSize: r.Limit, Changed: r.Changed, Rollback: r.Rollback, Accepted: r.Accepted}
}

// roleOf is the role that a record says. One that cannot be read owns nothing.
func roleOf(r Record) cluster.Role {
	if r.Role == "" {
		return cluster.Replica
	}
	return r.Role
}

// MayOpen says whether the copy may become a primary of that epoch, and if not, why.
func (c *Copy) MayOpen(epoch cluster.Epoch, base string) error {
	switch r := c.Record(); {
	case epoch < r.Epoch:
		return fmt.Errorf("open volume %s: %w: the copy has seen epoch %d, the order is of %d", c.ID, cluster.ErrStale, r.Epoch, epoch)
	case r.Role == cluster.Replica && (base == "" || r.Head != base):
		return fmt.Errorf("open volume %s: %w: the copy is at snapshot %q, not at %q", c.ID, cluster.ErrConflict, r.Head, base)
	}
	if err := c.usable(); err != nil {
		return fmt.Errorf("open volume %s: %w", c.ID, err)
	}
	return nil
}

// Opened shows the content below the mount root and notes that it can be written from now on.
func (c *Copy) Opened(epoch cluster.Epoch) error {
	if err := c.show(); err != nil {
		return err
	}
	err := c.Update(func(r *Record) {
		if r.Epoch != epoch || r.Role != cluster.Primary {
			r.Changed = time.Now()
		}
		r.Role, r.Epoch, r.Open, r.Head = cluster.Primary, epoch, true, ""
	})
	if err != nil {
		return err
	}
	return c.admit()
}

// close notes that nothing writes any more. Content that is open for writing is
// cluster.ErrConflict. The caller holds Op.
//
// Clients wait for this. Should the power fail before the next change of the record the copy counts
// as open, which is true of what its data may be like then: it is closed again by whoever wants it
// closed. What follows a Close in a move, the snapshot, is an Update.
func (c *Copy) close() error {
	if !c.Record().Open {
		return nil
	}
	if user := inuse.By(c.Data()); user != "" {
		return fmt.Errorf("%w: close volume %s: in use by %s", cluster.ErrConflict, c.ID, user)
	}
	return c.Note(func(r *Record) { r.Open = false })
}

// Demote makes the copy a replica, or sets it aside and returns a *volume.Diverged. The caller
// holds Op.
func (c *Copy) Demote(epoch cluster.Epoch) error {
	r := c.Record()
	if err := c.mayDemote(r, epoch); err != nil {
		return err
	}
	if r.Role == cluster.Primary && r.Head == "" {
		return c.diverged(r)
	}
	err := c.Update(func(now *Record) {
		if now.Role != cluster.Replica || now.Epoch != epoch {
			now.Changed = time.Now()
		}
		now.Role, now.Epoch = cluster.Replica, epoch
	})
	if err != nil {
		return err
	}
	return c.admit() // which lets nobody pass any more
}

func (c *Copy) mayDemote(r Record, epoch cluster.Epoch) error {
	switch {
	case r.Open:
		return fmt.Errorf("%w: demote volume %s: it is open", cluster.ErrConflict, c.ID)
	case epoch < r.Epoch:
		return fmt.Errorf("%w: demote volume %s: the copy has seen epoch %d, the order is of %d", cluster.ErrStale, c.ID, r.Epoch, epoch)
	}
	return nil
}

// diverged keeps a copy with writes that nobody else has under another name.
func (c *Copy) diverged(r Record) error {
	common := cluster.SnapshotName("")
	if len(r.Snapshots) > 0 {
		common = r.Snapshots[len(r.Snapshots)-1].Name
	}
	kept, err := c.SetAside(diverged)
	if err != nil {
		return err
	}
	return &volume.Diverged{Volume: c.ID, Common: common, KeptAs: kept}
}
