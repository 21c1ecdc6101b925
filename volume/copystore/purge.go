package copystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/internal/durable"
)

// unreadableGrace is how much longer a removed copy is kept whose record cannot be read: somebody
// should look at it, for nobody knows what is in it.
const unreadableGrace = 30 * 24 * time.Hour

// purged is where things are while they are deleted. Nobody finds them there any more, so that what
// is restored is never what is half gone.
func (r *Root) purged() string { return filepath.Join(r.path, "purged") }

// Purge deletes by remove what was put into the trash before that time.
func (r *Root) Purge(before time.Time, remove func(dir string) error) error {
	r.purging.Lock()
	defer r.purging.Unlock()
	discards, err := r.discards()
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range discards {
		if d.put.Before(before) {
			errs = append(errs, r.condemn(d, before))
		}
	}
	errs = append(errs, r.finish(remove))
	return errors.Join(errs...)
}

// condemn takes something out of the trash that is to be deleted. Of a removed copy without a record
// that can be read it only says so, and gives it a longer time.
func (r *Root) condemn(d discard, before time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	from, to := filepath.Join(r.trash(), d.String()), filepath.Join(r.purged(), d.String())
	switch {
	case d.why == unreadable && !d.put.Before(before.Add(-unreadableGrace)):
		return nil
	case d.why == removed || d.why == diverged:
		if why := r.discardedCopy(d).readable(); why != nil {
			to = r.trashName(d.id, unreadable)
			r.o.Log.Error("a copy in the trash cannot be read; it is kept for longer", "volume", d.id, "error", why,
				"kept_as", to, "for", unreadableGrace)
		}
	}
	if err := os.Rename(from, to); gone(err) {
		return nil // it was restored meanwhile
	} else if err != nil {
		return fmt.Errorf("purge %s: %w", d, err)
	}
	// Should the rename be undone by a loss of power it is only done again; but nothing may be deleted
	// of what would be in the trash then.
	return errors.Join(durable.SyncDir(filepath.Dir(to)), durable.SyncDir(r.trash()))
}

// finish deletes what is condemned, also what an earlier process did not come to.
func (r *Root) finish(remove func(dir string) error) error {
	entries, err := os.ReadDir(r.purged())
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		errs = append(errs, remove(filepath.Join(r.purged(), entry.Name())))
	}
	return errors.Join(errs...)
}
