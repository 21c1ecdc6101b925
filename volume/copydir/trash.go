package copydir

import (
	"cmp"
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

// removed is why copies are in the trash that Remove put there.
const removed = "removed"

func (r *Root) trash() string { return filepath.Join(r.path, "trash") }

// trashName is where a copy is put now, for a reason.
func (r *Root) trashName(id cluster.VolumeID, why string) string {
	return filepath.Join(r.trash(), fmt.Sprintf("%s.%s@%s", id, why, time.Now().UTC().Format(trashStamp)))
}

// Purge deletes by remove what was put into the trash before that time.
func (r *Root) Purge(before time.Time, remove func(dir string) error) error {
	entries, err := os.ReadDir(r.trash())
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		// Names end in the time at which they came: <id>.<why>@20060102T150405.000Z.
		_, stamp, _ := strings.Cut(entry.Name(), "@")
		put, err := time.Parse(trashStamp, stamp)
		if err == nil && put.Before(before) {
			errs = append(errs, remove(filepath.Join(r.trash(), entry.Name())))
		}
	}
	return errors.Join(errs...)
}

// discarded returns the copies in the trash that Remove put there, oldest first. One whose record
// is not readable is no copy any more.
func (r *Root) discarded() ([]*Copy, error) {
	entries, err := os.ReadDir(r.trash())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(stampOf(a.Name()), stampOf(b.Name())) })
	var all []*Copy
	for _, entry := range entries {
		id, why, _ := strings.Cut(entry.Name(), ".")
		c := &Copy{ID: cluster.VolumeID(id), Dir: filepath.Join(r.trash(), entry.Name()), root: r}
		if strings.HasPrefix(why, removed+"@") && c.load() == nil {
			all = append(all, c)
		}
	}
	return all, nil
}

func stampOf(name string) string {
	_, stamp, _ := strings.Cut(name, "@")
	return stamp
}

// Trash is that of a volume.Backend.
func (r *Root) Trash() ([]volume.Copy, error) {
	all, err := r.discarded()
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

// Restore is that of a volume.Backend.
func (r *Root) Restore(id cluster.VolumeID, epoch cluster.Epoch) error {
	all, err := r.discarded()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, exists := r.copies[id]; exists {
		return fmt.Errorf("restore volume %s: %w", id, cluster.ErrExists)
	}
	for _, c := range slices.Backward(all) {
		if c.ID != id || c.record.Role != cluster.Primary || c.record.Epoch != epoch {
			continue
		}
		return r.bring(c)
	}
	return fmt.Errorf("restore volume %s: %w: no copy of epoch %d is in the trash", id, cluster.ErrNotFound, epoch)
}

const trashStamp = "20060102T150405.000Z"
