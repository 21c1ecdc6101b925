package copystore

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// Add makes a copy. Prepare makes its content, in an empty directory in the trash, which becomes
// the copy when all of it is there; what a crash leaves is purged in time. A volume that has a copy,
// broken or not, is cluster.ErrExists.
func (r *Root) Add(id cluster.VolumeID, record Record, prepare func(c *Copy) error) (*Copy, error) {
	if !cluster.IsUUID(string(id)) {
		return nil, fmt.Errorf("%w: %q is no id of a volume", cluster.ErrInvalid, id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.look(id) != nil {
		return nil, fmt.Errorf("create volume %s: %w", id, cluster.ErrExists)
	}
	record.Changed = time.Now()
	c := &Copy{ID: id, Dir: r.trashName(id, unfinished), root: r, record: record}
	c.Used.walks = &r.walks
	err := r.spare(func() error { return os.Mkdir(c.Dir, 0o700) })
	if err != nil {
		return nil, err
	}
	err = prepare(c)
	if err == nil {
		c.keepSpare()
		err = c.Update(func(*Record) {})
	}
	if err == nil {
		err = r.bring(c)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.Dir))
	}
	return c, nil
}

// bring makes a copy in the trash that of its volume. What is in its place is no copy: a container
// engine makes directories that it shall mount and that are not there. The caller holds mu.
func (r *Root) bring(c *Copy) error {
	if err := c.admit(); err != nil {
		return err
	}
	home := r.home(c.ID)
	if err := os.Rename(home, r.trashName(c.ID, foreign)); err != nil && !gone(err) {
		return err
	}
	if err := r.spare(func() error { return os.Rename(c.Dir, home) }); err != nil {
		return err
	}
	c.Dir = home
	r.copies[c.ID] = c
	return errors.Join(durable.SyncDir(r.trash()), durable.SyncDir(r.path))
}
