// Package mem stores volumes in memory: for tests of what stands above a backend.
//
//	b := mem.New()
//	err := b.Write(id, "name", []byte("content")) // as an application would
//
// It keeps the contract to the letter, snapshots that are one instant included, and nothing
// beyond the life of the process.
package mem

import (
	"bytes"
	"cmp"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A Backend keeps volumes in memory. It implements volume.Backend.
type Backend struct {
	// Clock dates what it does: time.Now.
	Clock func() time.Time

	mu     sync.Mutex
	copies map[cluster.VolumeID]*held
	aside  map[string]*held // what was set aside, by the name that it is kept under
	asides int              // counts them
	trash  []*held          // what was removed, newest last
}

// held is a copy with its content and that of its snapshots.
type held struct {
	volume.Copy
	content   map[string][]byte
	why       string // why it was set aside
	strayed   bool   // written after the snapshot that it is at
	snapshots map[cluster.SnapshotName]map[string][]byte
}

// New returns an empty backend.
func New() *Backend {
	return &Backend{copies: map[cluster.VolumeID]*held{}, aside: map[string]*held{}}
}

// Write writes a file of an open volume.
func (b *Backend) Write(id cluster.VolumeID, name string, content []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(id)
	if err == nil && !c.Open {
		err = fmt.Errorf("%w: volume %s is not open", cluster.ErrConflict, id)
	}
	if err == nil {
		c.content[name] = bytes.Clone(content)
	}
	return err
}

// Put writes a file of a volume that may be closed, as an application can that was left running on it.
func (b *Backend) Put(id cluster.VolumeID, name string, content []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(id)
	if err == nil {
		c.content[name] = bytes.Clone(content)
		if c.Head != "" {
			c.strayed = true
		}
	}
	return err
}

// Lose takes a copy away, as somebody does who removes its files.
func (b *Backend) Lose(id cluster.VolumeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.copies, id)
}

// Reboot is what a loss of power leaves: nothing is open.
func (b *Backend) Reboot() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.copies {
		c.Open = false
	}
}

// Fork returns a backend with copies of everything that this one holds.
func (b *Backend) Fork() *Backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := New()
	for id, held := range b.copies {
		c.copies[id] = held.clone()
	}
	for name, held := range b.aside {
		c.aside[name] = held.clone()
	}
	for _, held := range b.trash {
		c.trash = append(c.trash, held.clone())
	}
	c.asides = b.asides
	return c
}

func (c *held) clone() *held {
	other := *c
	other.Snapshots = slices.Clone(c.Snapshots)
	other.content, other.snapshots = maps.Clone(c.content), maps.Clone(c.snapshots)
	return &other
}

// Read returns the files of a volume.
func (b *Backend) Read(id cluster.VolumeID) (map[string][]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(id)
	if err != nil {
		return nil, err
	}
	return maps.Clone(c.content), nil
}

// find returns a copy; the caller holds mu.
func (b *Backend) find(id cluster.VolumeID) (*held, error) {
	if c := b.copies[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("volume %s: %w on this node", id, cluster.ErrNotFound)
}

// Properties implements volume.Backend.
func (b *Backend) Properties() volume.Properties {
	return volume.Properties{Name: "mem", Instant: true, AnyBase: true}
}

// Space implements volume.Backend.
func (b *Backend) Space(context.Context) (volume.Space, error) {
	return volume.Space{Free: 1 << 40, Total: 1 << 40}, nil
}

// Path implements volume.Backend: there is no such file.
func (b *Backend) Path(id cluster.VolumeID) string { return "mem:" + string(id) }

// Copies implements volume.Backend.
func (b *Backend) Copies(context.Context) ([]volume.Copy, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var copies []volume.Copy
	for _, c := range b.copies {
		shown := c.Copy
		shown.Snapshots = slices.Clone(c.Snapshots)
		for _, content := range c.content {
			shown.UsedBytes += int64(len(content))
		}
		copies = append(copies, shown)
	}
	slices.SortFunc(copies, func(a, b volume.Copy) int { return cmp.Compare(a.Volume, b.Volume) })
	return copies, nil
}

// Create implements volume.Backend.
func (b *Backend) Create(_ context.Context, id cluster.VolumeID, o volume.Options) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.create(id, o, map[string][]byte{})
}

// create makes a primary copy with that content; the caller holds mu.
func (b *Backend) create(id cluster.VolumeID, o volume.Options, content map[string][]byte) error {
	if err := o.NoSettings("mem"); err != nil {
		return fmt.Errorf("create volume %s: %w", id, err)
	}
	if b.copies[id] != nil {
		return fmt.Errorf("create volume %s: %w", id, cluster.ErrExists)
	}
	c := b.add(id)
	c.Role, c.Epoch, c.MaximumSize, c.content = cluster.Primary, 1, o.MaximumSize, content
	return nil
}

func (b *Backend) now() time.Time {
	if b.Clock != nil {
		return b.Clock()
	}
	return time.Now()
}

func (b *Backend) add(id cluster.VolumeID) *held {
	c := &held{Copy: volume.Copy{Volume: id, Path: b.Path(id), Changed: b.now()},
		content: map[string][]byte{}, snapshots: map[cluster.SnapshotName]map[string][]byte{}}
	b.copies[id] = c
	return c
}

// Open implements volume.Backend.
func (b *Backend) Open(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(id)
	switch {
	case err != nil:
		return "", err
	case epoch < c.Epoch:
		return "", fmt.Errorf("%w: open volume %s: the copy has seen epoch %d", cluster.ErrStale, id, c.Epoch)
	case c.Role == cluster.Replica && (base == "" || c.Head != base):
		return "", fmt.Errorf("%w: open volume %s: the copy is at %q, not at %q", cluster.ErrConflict, id, c.Head, base)
	}
	c.Role, c.Epoch, c.Open, c.Head, c.strayed = cluster.Primary, epoch, true, "", false
	return c.Path, nil
}

// Close implements volume.Backend.
func (b *Backend) Close(_ context.Context, id cluster.VolumeID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(id)
	if err == nil {
		c.Open = false
	}
	return err
}

// Demote implements volume.Backend.
func (b *Backend) Demote(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(id)
	switch {
	case err != nil:
		return err
	case c.Open:
		return fmt.Errorf("%w: demote volume %s: it is open", cluster.ErrConflict, id)
	case epoch < c.Epoch:
		return fmt.Errorf("%w: demote volume %s: the copy has seen epoch %d", cluster.ErrStale, id, c.Epoch)
	case c.Role == cluster.Primary && c.Head == "", c.strayed:
		return &volume.Diverged{Volume: id, KeptAs: b.setAside(c, "diverged")}
	}
	c.Role, c.Epoch, c.Changed = cluster.Replica, epoch, b.now()
	return nil
}

func (b *Backend) setAside(c *held, why string) string {
	b.asides++
	name := fmt.Sprintf("mem:aside-%d", b.asides)
	c.Changed, c.why = b.now(), why
	b.aside[name] = c
	delete(b.copies, c.Volume)
	return name
}

// Snapshot implements volume.Backend.
func (b *Backend) Snapshot(_ context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (cluster.Snapshot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(id)
	if err != nil {
		return cluster.Snapshot{}, err
	}
	for _, s := range c.Snapshots {
		if s.Name == name {
			return s, nil
		}
	}
	s := cluster.Snapshot{Name: name, GUID: cluster.NewUUID(), Created: b.now().UTC(), Kept: keep}
	c.Snapshots, c.snapshots[name] = append(c.Snapshots, s), maps.Clone(c.content)
	if !c.Open && !keep {
		c.Head, c.strayed = s.GUID, false
	}
	return s, nil
}

// Drop implements volume.Backend.
func (b *Backend) Drop(_ context.Context, id cluster.VolumeID, name cluster.SnapshotName) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.copies[id]; c != nil {
		c.Snapshots = slices.DeleteFunc(c.Snapshots, func(s cluster.Snapshot) bool { return s.Name == name })
		delete(c.snapshots, name)
	}
	return nil
}

// A stream is what Send writes.
type stream struct {
	Snapshot cluster.Snapshot
	Changed  map[string][]byte
	Gone     []string
}

// Send implements volume.Backend.
func (b *Backend) Send(_ context.Context, d volume.Delta, w io.Writer) error {
	out, err := b.difference(d)
	if err != nil {
		return fmt.Errorf("send %s: %w", d, err)
	}
	return gob.NewEncoder(w).Encode(out)
}

func (b *Backend) difference(d volume.Delta) (stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.find(d.Volume)
	if err != nil {
		return stream{}, err
	}
	to, ok := c.snapshots[d.To]
	from, based := c.snapshots[d.From]
	if !ok || (d.From != "" && !based) {
		return stream{}, fmt.Errorf("snapshot: %w", cluster.ErrNotFound)
	}
	out := stream{Changed: map[string][]byte{}}
	for _, s := range c.Snapshots {
		if s.Name == d.To {
			out.Snapshot = s
		}
	}
	for name, content := range to {
		if was, existed := from[name]; !existed || !bytes.Equal(was, content) {
			out.Changed[name] = content
		}
	}
	for name := range from {
		if _, exists := to[name]; !exists {
			out.Gone = append(out.Gone, name)
		}
	}
	return out, nil
}

// Receive implements volume.Backend. A stream is applied whole or not at all.
func (b *Backend) Receive(_ context.Context, d volume.Delta, r io.Reader) error {
	var in stream
	if err := gob.NewDecoder(r).Decode(&in); err != nil {
		return fmt.Errorf("receive %s: the stream was cut: %w", d, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.copies[d.Volume]
	switch {
	case c != nil && c.Role == cluster.Primary:
		return fmt.Errorf("%w: receive %s: this node has a primary copy", cluster.ErrConflict, d)
	case d.From != "" && (c == nil || c.snapshots[d.From] == nil):
		return fmt.Errorf("%w: receive %s: the copy does not hold the base", cluster.ErrStale, d)
	case c != nil && c.strayed:
		return &volume.Diverged{Volume: d.Volume, Common: d.From, KeptAs: b.setAside(c, "diverged")}
	case d.From == "" && c != nil:
		b.setAside(c, "replaced")
		c = nil
	}
	if c == nil {
		c = b.add(d.Volume)
		c.Role = cluster.Replica
	}
	if d.From != "" {
		c.content = maps.Clone(c.snapshots[d.From])
	}
	maps.Copy(c.content, in.Changed)
	for _, name := range in.Gone {
		delete(c.content, name)
	}
	c.Head, c.Snapshots = in.Snapshot.GUID, append(c.Snapshots, in.Snapshot)
	c.snapshots[d.To] = maps.Clone(c.content)
	return nil
}

// Resize implements volume.Backend.
func (b *Backend) Resize(_ context.Context, id cluster.VolumeID, bytes int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.copies[id]
	if c == nil {
		return fmt.Errorf("volume %s: %w on this node", id, cluster.ErrNotFound)
	}
	c.MaximumSize = bytes
	return nil
}

// Remove implements volume.Backend.
func (b *Backend) Remove(_ context.Context, id cluster.VolumeID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.copies[id]
	if c != nil && c.Open {
		return fmt.Errorf("%w: remove volume %s: it is open", cluster.ErrConflict, id)
	}
	if c != nil {
		b.trash = append(b.trash, c)
		c.Changed = b.now()
		delete(b.copies, id)
	}
	return nil
}

// Trash implements volume.Backend.
func (b *Backend) Trash(context.Context) ([]volume.Copy, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var copies []volume.Copy
	for _, c := range b.trash {
		copies = append(copies, c.Copy)
	}
	return copies, nil
}

// Aside implements volume.Backend.
func (b *Backend) Aside(context.Context) ([]cluster.SetAside, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var aside []cluster.SetAside
	for _, name := range slices.Sorted(maps.Keys(b.aside)) {
		c := b.aside[name]
		aside = append(aside, cluster.SetAside{Volume: c.Volume, Why: c.why, At: c.Changed, Path: name})
	}
	return aside, nil
}

// Restore implements volume.Backend.
func (b *Backend) Restore(_ context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.copies[id] != nil {
		return fmt.Errorf("restore volume %s: %w", id, cluster.ErrExists)
	}
	for i, c := range slices.Backward(b.trash) {
		if c.Volume == id && c.Role == cluster.Primary && c.Epoch == epoch {
			b.trash = slices.Delete(b.trash, i, i+1)
			b.copies[id] = c
			return nil
		}
	}
	return fmt.Errorf("restore volume %s: %w: no copy of epoch %d is in the trash", id, cluster.ErrNotFound, epoch)
}

// Purge implements volume.Backend.
func (b *Backend) Purge(_ context.Context, before time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.aside, func(_ string, c *held) bool { return c.Changed.Before(before) })
	b.trash = slices.DeleteFunc(b.trash, func(c *held) bool { return c.Changed.Before(before) })
	return nil
}
