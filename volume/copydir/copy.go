package copydir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/inuse"
)

// A Record is what a copy is, as it is kept on disk.
type Record struct {
	Role  cluster.Role  `json:"role"`
	Epoch cluster.Epoch `json:"epoch"`
	Open  bool          `json:"open"`
	// Head is the GUID of the snapshot that the content is exactly at.
	Head      string             `json:"head"`
	Limit     int64              `json:"limit"`
	Changed   time.Time          `json:"changed"`
	Snapshots []cluster.Snapshot `json:"snapshots"`
	// Rollback is the wish of the last rollback.
	Rollback string `json:"rollback,omitempty"`
	// Reset, unless empty, is the snapshot that the content has to be made of again before anything
	// else: a rollback is not finished.
	Reset cluster.SnapshotName `json:"reset,omitempty"`
	// Transit is set while a stream is applied in place, and after it was cut.
	Transit *Transit `json:"transit,omitempty"`
}

// A Transit is a difference that has been applied in part.
type Transit struct {
	From cluster.SnapshotName `json:"from"`
	To   cluster.SnapshotName `json:"to"`
}

// Snapshot returns a snapshot of the copy, or cluster.ErrNotFound.
func (r Record) Snapshot(name cluster.SnapshotName) (cluster.Snapshot, error) {
	for _, s := range r.Snapshots {
		if s.Name == name {
			return s, nil
		}
	}
	return cluster.Snapshot{}, fmt.Errorf("snapshot %s: %w", name, cluster.ErrNotFound)
}

// Forget takes a snapshot off the record.
func (r *Record) Forget(name cluster.SnapshotName) {
	r.Snapshots = slices.DeleteFunc(r.Snapshots, func(s cluster.Snapshot) bool { return s.Name == name })
}

// Add puts a new snapshot on the record. Of a closed copy one that is made for a transfer is the
// head, because nothing can change the content before the next Open.
func (r *Record) Add(s cluster.Snapshot) {
	r.Snapshots = append(r.Snapshots, s)
	if !r.Open && !s.Kept {
		r.Head = s.GUID
	}
}

// A Copy is the copy of one volume.
type Copy struct {
	ID  cluster.VolumeID
	Dir string
	// Op is held by whatever changes the content or the role, however long that takes.
	Op sync.Mutex
	// Used is how much the content takes up.
	Used Usage

	root   *Root
	broken error // why the copy is not readable

	mu     sync.Mutex // for what follows; held briefly
	record Record
}

// Data is the directory that applications see.
func (c *Copy) Data() string { return filepath.Join(c.Dir, dataName) }

func (c *Copy) recordPath() string { return filepath.Join(c.Dir, "copy.json") }

func (c *Copy) load() error {
	b, err := os.ReadFile(c.recordPath())
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &c.record); err != nil {
		return fmt.Errorf("read %s: %w", c.recordPath(), err)
	}
	return nil
}

// Broken notes that the copy is not readable, and why. It is listed with a warning, and nothing
// else can be done with it. Only while the backend is opened.
func (c *Copy) Broken(why error) {
	c.broken = why
	c.root.o.Log.Error("a volume is not readable", "volume", c.ID, "error", why)
}

// Record returns the record as it is now.
func (c *Copy) Record() Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.record
	r.Snapshots = slices.Clone(r.Snapshots)
	return r
}

// Update changes the record and makes the change durable before it is seen.
func (c *Copy) Update(change func(*Record)) error { return c.update(change, durable.WriteFile) }

// Note changes the record without waiting for the disk, for a change that is as well forgotten when
// the power fails, or where the caller syncs the file system next.
func (c *Copy) Note(change func(*Record)) error { return c.update(change, durable.Replace) }

func (c *Copy) update(change func(*Record), write func(string, []byte, os.FileMode) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.record
	next.Snapshots = slices.Clone(next.Snapshots)
	change(&next)
	b, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := write(c.recordPath(), append(b, '\n'), 0o600); err != nil {
		return err
	}
	c.record = next
	return nil
}

// State is the copy as the contract shows it, as far as its record tells.
func (c *Copy) State() volume.Copy {
	if c.broken != nil {
		return volume.Copy{Volume: c.ID, Role: cluster.Replica, Warning: "not readable: " + c.broken.Error()}
	}
	r := c.Record()
	if r.Reset != "" {
		r.Rollback = ""
	}
	return volume.Copy{Volume: c.ID, Role: r.Role, Epoch: r.Epoch, Open: r.Open, Path: c.root.Path(c.ID), Head: r.Head,
		Snapshots: r.Snapshots, LimitBytes: r.Limit, Changed: r.Changed, Rollback: r.Rollback}
}

// MayOpen says whether the copy may become a primary of that epoch, and if not, why.
func (c *Copy) MayOpen(epoch cluster.Epoch, base string) error {
	switch r := c.Record(); {
	case epoch < r.Epoch:
		return fmt.Errorf("open volume %s: %w: the copy has seen epoch %d, the order is of %d", c.ID, cluster.ErrStale, r.Epoch, epoch)
	case r.Role == cluster.Replica && (base == "" || r.Head != base):
		return fmt.Errorf("open volume %s: %w: the copy is at snapshot %q, not at %q", c.ID, cluster.ErrConflict, r.Head, base)
	default:
		return nil
	}
}

// Opened shows the content below the mount root and notes that it can be written from now on.
func (c *Copy) Opened(epoch cluster.Epoch) error {
	if err := c.show(); err != nil {
		return err
	}
	return c.Update(func(r *Record) {
		if r.Epoch != epoch || r.Role != cluster.Primary {
			r.Changed = time.Now()
		}
		r.Role, r.Epoch, r.Open, r.Head = cluster.Primary, epoch, true, ""
	})
}

// show makes the volume appear below the mount root.
func (c *Copy) show() error {
	if c.root.o.MountRoot == "" {
		return nil
	}
	err := os.Symlink(c.Data(), c.root.Path(c.ID))
	if errors.Is(err, fs.ErrExist) {
		if target, _ := os.Readlink(c.root.Path(c.ID)); target == c.Data() {
			return nil
		}
	}
	return err
}

// close notes that nothing writes any more. Content that is open for writing is
// cluster.ErrConflict. The caller holds Op. Should the power fail now, the copy counts as open: it
// is closed again by whoever wants it closed.
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
	switch r := c.Record(); {
	case r.Open:
		return fmt.Errorf("%w: demote volume %s: it is open", cluster.ErrConflict, c.ID)
	case epoch < r.Epoch:
		return fmt.Errorf("%w: demote volume %s: the copy has seen epoch %d, the order is of %d", cluster.ErrStale, c.ID, r.Epoch, epoch)
	case r.Role == cluster.Primary && r.Head == "":
		return c.diverged(r)
	}
	return c.Update(func(now *Record) {
		if now.Role != cluster.Replica || now.Epoch != epoch {
			now.Changed = time.Now()
		}
		now.Role, now.Epoch = cluster.Replica, epoch
	})
}

// diverged keeps a copy with writes that nobody else has under another name.
func (c *Copy) diverged(r Record) error {
	common := cluster.SnapshotName("")
	if len(r.Snapshots) > 0 {
		common = r.Snapshots[len(r.Snapshots)-1].Name
	}
	kept, err := c.SetAside("diverged")
	if err != nil {
		return err
	}
	return &volume.Diverged{Volume: c.ID, Common: common, KeptAs: kept}
}

// remove puts the copy into the trash. One that is open is cluster.ErrConflict. The caller holds
// Op.
func (c *Copy) remove() error {
	if c.Record().Open {
		return fmt.Errorf("%w: remove volume %s: it is open", cluster.ErrConflict, c.ID)
	}
	_, err := c.SetAside(removed)
	return err
}

// SetAside moves the copy into the trash, whole, under a name that says what it was and when.
func (c *Copy) SetAside(why string) (string, error) {
	r := c.root
	name := r.trashName(c.ID, why)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.o.MountRoot != "" {
		if err := os.Remove(r.Path(c.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if err := os.Rename(c.Dir, name); err != nil {
		return "", err
	}
	delete(r.copies, c.ID)
	return name, errors.Join(durable.SyncDir(r.trash()), durable.SyncDir(r.path))
}
