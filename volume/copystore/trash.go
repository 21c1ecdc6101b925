package copystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Why something is in the trash.
const (
	removed    = "removed"    // by Remove: it can be restored
	diverged   = "diverged"   // it has writes that nobody else has
	broken     = "broken"     // it could not be worked with, and gave way
	unreadable = "unreadable" // it was removed, and its record cannot be read: nobody knows what it was
	unfinished = "unfinished" // it never became a copy
	foreign    = "foreign"    // it stood in the place of a copy
)

func (r *Root) trash() string { return filepath.Join(r.path, "trash") }

const trashStamp = "20060102T150405.000Z"

// A discard is something in the trash, by its name: <id>.<why>@20060102T150405.000Z
type discard struct {
	id  cluster.VolumeID
	why string
	put time.Time
}

func (d discard) String() string {
	return fmt.Sprintf("%s.%s@%s", d.id, d.why, d.put.Format(trashStamp))
}

// parseDiscard reads the name of something in the trash. What has another name is none of ours, and
// stays.
func parseDiscard(name string) (discard, bool) {
	what, stamp, _ := strings.Cut(name, "@")
	id, why, _ := strings.Cut(what, ".")
	put, err := time.Parse(trashStamp, stamp)
	d := discard{cluster.VolumeID(id), why, put}
	return d, err == nil && cluster.IsUUID(id) && why != "" && d.String() == name
}

// trashName is where something is put now, for a reason: a name that is free.
func (r *Root) trashName(id cluster.VolumeID, why string) string {
	d := discard{id, why, written(time.Now())}
	for {
		name := filepath.Join(r.trash(), d.String())
		if _, err := os.Lstat(name); err != nil {
			return name
		}
		d.put = d.put.Add(time.Millisecond)
	}
}

// discards returns what is in the trash, oldest first.
func (r *Root) discards() ([]discard, error) {
	entries, err := os.ReadDir(r.trash())
	if err != nil {
		return nil, err
	}
	var all []discard
	for _, entry := range entries {
		if d, ours := parseDiscard(entry.Name()); ours {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b discard) int { return a.put.Compare(b.put) })
	return all, nil
}

// discarded returns the copies in the trash that Remove put there, readable or not, oldest first.
func (r *Root) discarded() ([]*Copy, error) {
	discards, err := r.discards()
	if err != nil {
		return nil, err
	}
	var all []*Copy
	for _, d := range discards {
		if d.why == removed || d.why == unreadable {
			all = append(all, r.discardedCopy(d))
		}
	}
	return all, nil
}

func (r *Root) discardedCopy(d discard) *Copy {
	c := &Copy{ID: d.id, Dir: filepath.Join(r.trash(), d.String()), root: r}
	c.Used.walks = &r.walks
	c.load()
	return c
}

// Trash is that of a volume.Backend. A copy that cannot be read is there with a warning.
func (r *Root) Trash() ([]volume.Copy, error) {
	r.mu.Lock()
	all, err := r.discarded()
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var copies []volume.Copy
	for _, c := range all {
		s := c.State()
		s.Path = c.Dir
		copies = append(copies, s)
	}
	return copies, nil
}

// Aside is that of a volume.Backend.
func (r *Root) Aside() ([]cluster.SetAside, error) {
	discards, err := r.discards()
	if err != nil {
		return nil, err
	}
	var aside []cluster.SetAside
	for _, d := range discards {
		if d.why == removed || d.why == unreadable || d.why == unfinished {
			continue
		}
		c := r.discardedCopy(d)
		a := cluster.SetAside{Volume: d.id, Why: d.why, At: d.put, Path: c.Dir}
		if snapshots := c.Record().Snapshots; len(snapshots) > 0 {
			a.Bytes = snapshots[len(snapshots)-1].Bytes
		}
		aside = append(aside, a)
	}
	return aside, nil
}

// Restore is that of a volume.Backend.
func (r *Root) Restore(id cluster.VolumeID, epoch cluster.Epoch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.look(id) != nil {
		return fmt.Errorf("restore volume %s: %w", id, cluster.ErrExists)
	}
	all, err := r.discarded()
	if err != nil {
		return err
	}
	var broken []error
	for _, c := range slices.Backward(all) {
		switch record := c.Record(); {
		case c.ID != id:
		case c.readable() != nil:
			broken = append(broken, c.readable())
		case record.Role != cluster.Primary || record.Epoch != epoch:
		case c.trouble() != nil:
			broken = append(broken, c.usable())
		default:
			return r.bring(c)
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("restore volume %s: %w", id, errors.Join(broken...))
	}
	return fmt.Errorf("restore volume %s: %w: no copy of epoch %d is in the trash", id, cluster.ErrNotFound, epoch)
}
