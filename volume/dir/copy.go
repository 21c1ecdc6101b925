package dir

import (
	"context"
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
)

// A copyDir is the copy of one volume.
type copyDir struct {
	backend *Backend
	id      cluster.VolumeID
	dir     string
	broken  error // why the record is not readable

	// op is held by whatever changes the content or the role, however long that takes.
	op sync.Mutex

	mu     sync.Mutex // for what follows; held briefly
	record record
	used   usage
}

// A record is what a copy is, as it is kept on disk.
type record struct {
	Role  cluster.Role  `json:"role"`
	Epoch cluster.Epoch `json:"epoch"`
	Open  bool          `json:"open"`
	// Head is the GUID of the snapshot that the content is exactly at.
	Head      string             `json:"head"`
	Limit     int64              `json:"limit"`
	Changed   time.Time          `json:"changed"`
	Snapshots []cluster.Snapshot `json:"snapshots"`
	// Transit is set while a stream is applied, and after it was cut.
	Transit *transit `json:"transit,omitempty"`
}

type transit struct {
	From cluster.SnapshotName `json:"from"`
	To   cluster.SnapshotName `json:"to"`
}

// dropRound forgets a snapshot that is not kept.
func (r *record) dropRound(name cluster.SnapshotName) {
	r.Snapshots = slices.DeleteFunc(r.Snapshots, func(s cluster.Snapshot) bool { return s.Name == name && !s.Kept })
}

func (c *copyDir) data() string        { return filepath.Join(c.dir, "data") }
func (c *copyDir) recordPath() string  { return filepath.Join(c.dir, "copy.json") }
func (c *copyDir) partialPath() string { return filepath.Join(c.dir, "partial") }

func (c *copyDir) manifestPath(name cluster.SnapshotName) string {
	return filepath.Join(c.dir, "manifests", manifestName(name))
}

func (c *copyDir) keptTree(name cluster.SnapshotName) string {
	return filepath.Join(c.dir, "kept", manifestName(name))
}

// load reads the record. A copy whose stream was ended by a crash is looked at, file by file, to
// know what has arrived.
func (c *copyDir) load() error {
	b, err := os.ReadFile(c.recordPath())
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &c.record); err != nil {
		return fmt.Errorf("read %s: %w", c.recordPath(), err)
	}
	if c.record.Transit == nil {
		return nil
	}
	_, err = os.Stat(c.partialPath())
	if errors.Is(err, fs.ErrNotExist) {
		return c.survey()
	}
	return err
}

// survey hashes everything that is there and keeps the result as what has arrived.
func (c *copyDir) survey() error {
	m, err := scan(context.Background(), c.data())
	if err != nil {
		return err
	}
	reader := newContent(newBuffer())
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Kind != kindFile {
			continue
		}
		f, err := os.OpenFile(filepath.Join(c.data(), e.Path), os.O_RDONLY|noFollow, 0)
		if err != nil {
			return err
		}
		err = reader.each(f, e.Size, func(_ int, h hash, _ []byte) error {
			e.Blocks = append(e.Blocks, h)
			return nil
		})
		f.Close()
		if err != nil {
			return err
		}
	}
	return m.save(c.partialPath())
}

// update changes the record and makes the change durable before it is seen.
func (c *copyDir) update(change func(*record)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.record
	next.Snapshots = slices.Clone(next.Snapshots)
	change(&next)
	b, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(c.recordPath(), append(b, '\n'), 0o600); err != nil {
		return err
	}
	c.record = next
	return nil
}

// state is the copy as the contract shows it.
func (c *copyDir) state() volume.Copy {
	if c.broken != nil {
		return volume.Copy{Volume: c.id, Role: cluster.Replica, Warning: "not readable: " + c.broken.Error()}
	}
	c.mu.Lock()
	r := c.record
	s := volume.Copy{Volume: c.id, Role: r.Role, Epoch: r.Epoch, Open: r.Open, Path: c.backend.Path(c.id), Head: r.Head,
		Snapshots: slices.Clone(r.Snapshots), LimitBytes: r.Limit, Changed: r.Changed}
	c.mu.Unlock()
	s.UsedBytes = c.usedBytes()
	if r.Limit > 0 && s.UsedBytes > r.Limit {
		s.Warning = fmt.Sprintf("uses %d MiB, its limit is %d MiB; a plain directory cannot stop a writer", s.UsedBytes>>20, r.Limit>>20)
	}
	if r.Transit != nil {
		s.Partial = &volume.Partial{From: r.Transit.From, To: r.Transit.To}
		if token, err := os.ReadFile(c.partialPath()); err == nil {
			s.Partial.Token = token
		}
		// The base has been written over: only the transfer under way can use this copy.
		s.Snapshots = slices.DeleteFunc(s.Snapshots, func(s cluster.Snapshot) bool { return !s.Kept })
	}
	return s
}

// newestManifest returns the manifest with the latest look at this node's files, or an empty one.
func (c *copyDir) newestManifest() *manifest {
	c.mu.Lock()
	snapshots := slices.Clone(c.record.Snapshots)
	c.mu.Unlock()
	for _, s := range slices.Backward(snapshots) {
		if m, err := loadManifest(c.manifestPath(s.Name)); err == nil && !s.Kept {
			return m
		}
	}
	return &manifest{}
}

// Open implements volume.Backend.
func (b *Backend) Open(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (string, error) {
	c, err := b.find(id)
	if err != nil {
		return "", err
	}
	c.op.Lock()
	defer c.op.Unlock()
	if err := c.mayOpen(epoch, base); err != nil {
		return "", fmt.Errorf("open volume %s: %w", id, err)
	}
	if err := b.show(c); err != nil {
		return "", err
	}
	return b.Path(id), c.update(func(r *record) {
		if r.Epoch != epoch || r.Role != cluster.Primary {
			r.Changed = time.Now()
		}
		r.Role, r.Epoch, r.Open, r.Head = cluster.Primary, epoch, true, ""
	})
}

func (c *copyDir) mayOpen(epoch cluster.Epoch, base string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.record
	switch {
	case epoch < r.Epoch:
		return fmt.Errorf("%w: the copy has seen epoch %d, the order is of %d", cluster.ErrStale, r.Epoch, epoch)
	case r.Role == cluster.Replica && (base == "" || r.Head != base):
		return fmt.Errorf("%w: the copy is at snapshot %q, not at %q", cluster.ErrConflict, r.Head, base)
	default:
		return nil
	}
}

// show makes the volume appear below the mount root.
func (b *Backend) show(c *copyDir) error {
	if b.o.MountRoot == "" {
		return nil
	}
	err := os.Symlink(c.data(), b.Path(c.id))
	if errors.Is(err, fs.ErrExist) {
		if target, _ := os.Readlink(b.Path(c.id)); target == c.data() {
			return nil
		}
	}
	return err
}

// Close implements volume.Backend.
func (b *Backend) Close(_ context.Context, id cluster.VolumeID) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	if !c.isOpen() {
		return nil
	}
	if user := writerBelow(c.data()); user != "" {
		return fmt.Errorf("%w: close volume %s: in use by %s", cluster.ErrConflict, id, user)
	}
	return c.update(func(r *record) { r.Open = false })
}

func (c *copyDir) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.Open
}

// Demote implements volume.Backend.
func (b *Backend) Demote(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	c, err := b.find(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	c.mu.Lock()
	r := c.record
	c.mu.Unlock()
	switch {
	case r.Open:
		return fmt.Errorf("%w: demote volume %s: it is open", cluster.ErrConflict, id)
	case epoch < r.Epoch:
		return fmt.Errorf("%w: demote volume %s: the copy has seen epoch %d, the order is of %d", cluster.ErrStale, id, r.Epoch, epoch)
	case r.Role == cluster.Primary && r.Head == "":
		return c.diverged(r)
	}
	return c.update(func(now *record) {
		if now.Role != cluster.Replica || now.Epoch != epoch {
			now.Changed = time.Now()
		}
		now.Role, now.Epoch = cluster.Replica, epoch
	})
}

// diverged keeps a copy with writes that nobody else has under another name.
func (c *copyDir) diverged(r record) error {
	common := cluster.SnapshotName("")
	if len(r.Snapshots) > 0 {
		common = r.Snapshots[len(r.Snapshots)-1].Name
	}
	kept, err := c.setAside("diverged")
	if err != nil {
		return err
	}
	return &volume.Diverged{Volume: c.id, Common: common, KeptAs: kept}
}

// Remove implements volume.Backend.
func (b *Backend) Remove(_ context.Context, id cluster.VolumeID) error {
	c, err := b.find(id)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	if c.isOpen() {
		return fmt.Errorf("%w: remove volume %s: it is open", cluster.ErrConflict, id)
	}
	_, err = c.setAside("removed")
	return err
}

// setAside moves the copy into the trash, whole, under a name that says what it was and when.
func (c *copyDir) setAside(why string) (string, error) {
	b := c.backend
	name := filepath.Join(b.trash(), fmt.Sprintf("%s.%s@%s", c.id, why, time.Now().UTC().Format(trashStamp)))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.o.MountRoot != "" {
		if err := removeIfThere(b.Path(c.id)); err != nil {
			return "", err
		}
	}
	if err := os.Rename(c.dir, name); err != nil {
		return "", err
	}
	delete(b.copies, c.id)
	return name, errors.Join(durable.SyncDir(b.trash()), durable.SyncDir(b.root))
}
