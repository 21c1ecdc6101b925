package copystore

import (
	"errors"
	"fmt"
	"os"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// SetAside moves the copy into the trash, whole, under a name that says what it was and when.
func (c *Copy) SetAside(why string) (string, error) {
	r := c.root
	r.mu.Lock()
	defer r.mu.Unlock()
	name := r.trashName(c.ID, why)
	if !c.isHere() {
		return "", fmt.Errorf("%w: volume %s: the copy was set aside meanwhile", cluster.ErrConflict, c.ID)
	}
	if err := c.hide(); err != nil {
		return "", err
	}
	// Nobody passes to what is in the trash, whoever may have passed to the copy.
	if err := r.spare(func() error { return os.Rename(c.Dir, name) }); err != nil {
		return "", err
	}
	c.mu.Lock()
	c.moved = true
	c.mu.Unlock()
	c.Unsaved.forget()
	if r.copies[c.ID] == c {
		delete(r.copies, c.ID)
	}
	return name, errors.Join(durable.SyncDir(r.trash()), durable.SyncDir(r.path))
}

// Remove is that of a volume.Backend.
func (r *Root) Remove(id cluster.VolumeID) error {
	c, err := r.get(id)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	// A transfer that is under way makes it another copy than the one that was to go.
	if err := c.TryLock(); err != nil {
		return fmt.Errorf("remove volume %s: %w", id, err)
	}
	defer c.Op.Unlock()
	if c.Record().Open {
		return fmt.Errorf("%w: remove volume %s: it is open", cluster.ErrConflict, c.ID)
	}
	_, err = c.SetAside(removed)
	return err
}

// GiveWay makes room for a full stream of a volume whose copy is ErrBroken: it is kept aside, and
// that is told. A copy that says that it is the primary is none of a stream's business: then the
// result is cluster.ErrConflict.
func (r *Root) GiveWay(id cluster.VolumeID) error {
	c, err := r.get(id)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.TryLock(); err != nil {
		return err
	}
	defer c.Op.Unlock()
	why := c.usable()
	switch {
	case why == nil:
		return nil
	case c.Record().Role == cluster.Primary:
		return why
	}
	kept, err := c.SetAside(broken)
	if err != nil {
		return errors.Join(why, err)
	}
	r.o.Log.Error("a broken copy gives way to one that arrives", "volume", id, "error", why, "kept_as", kept)
	return nil
}

// Abandon is Demote for a copy that is ErrBroken: what became of its content nobody knows, so it is
// set aside with a *volume.Diverged.
func (r *Root) Abandon(id cluster.VolumeID, epoch cluster.Epoch) error {
	c, err := r.get(id)
	if err != nil {
		return err
	}
	if err := c.Lock(); err != nil {
		return err
	}
	defer c.Op.Unlock()
	record := c.Record()
	why := c.usable()
	if why == nil {
		return fmt.Errorf("%w: demote volume %s: the copy has just been mended", cluster.ErrUnavailable, id)
	}
	if record.Role == "" {
		return why // what it was, and of which epoch, is not known
	}
	if err := c.mayDemote(record, epoch); err != nil {
		return err
	}
	r.o.Log.Error("a broken copy is set aside", "volume", id, "error", why)
	return c.diverged(record)
}
