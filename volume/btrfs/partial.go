package btrfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
	"github.com/drover/drover/volume/files"
)

// What has arrived of files when their stream is cut stays: the subvolume incoming, and the listing of it. The
// record says in its Transit of what it is a part, from before anything of it is written until it is a
// snapshot. All else on the record is as true as before.

// Listing implements volume.Lister.
func (b *Backend) Listing(ctx context.Context, id cluster.VolumeID) (io.ReadCloser, error) {
	c, err := b.find(id)
	if err != nil {
		return nil, err
	}
	if err := c.TryLock(); err != nil {
		return nil, fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	}
	defer c.Op.Unlock()
	if c.Record().Transit == nil {
		return nil, fmt.Errorf("volume %s: %w: no transfer was cut", id, cluster.ErrNotFound)
	}
	if !exists(c.incomingListing()) { // whoever applied it has died
		if _, err := files.Survey(ctx, c.incomingPath(), c.incomingListing()); err != nil {
			return nil, fmt.Errorf("look at what has arrived of volume %s: %w", id, err)
		}
	}
	return os.Open(c.incomingListing())
}

// Discard implements volume.Discarder.
func (b *Backend) Discard(_ context.Context, id cluster.VolumeID) error {
	c, err := b.find(id)
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
	if c.Record().Transit == nil {
		return fmt.Errorf("%w: volume %s: no part of a transfer is here", cluster.ErrConflict, id)
	}
	return c.clearIncoming()
}

// partial is what the record says of a transfer that was cut.
func partial(r copystore.Record) *volume.Partial {
	if r.Transit == nil {
		return nil
	}
	return &volume.Partial{From: r.Transit.From, To: r.Transit.To, Token: []byte(r.Transit.Token), Listed: true}
}

// goesOn reports whether what has arrived is what a delta goes on with.
func (c *subvolumes) goesOn(d volume.Delta) bool {
	t := c.Record().Transit
	return t != nil && *t == copystore.Transit{From: d.From, To: d.To, Token: string(d.Resume)} && exists(c.incomingListing())
}

// prepare makes the subvolume that a stream of files is applied to, or takes the one that it goes on with, and
// says how to.
func (c *subvolumes) prepare(ctx context.Context, d volume.Delta) (files.Arrival, error) {
	a := files.Arrival{Root: c.incomingPath(), Save: c.incomingListing(), Resumed: len(d.Resume) > 0, Begin: func(s cluster.Snapshot) error {
		if err := matches(s, d); err != nil {
			return err
		}
		return c.began(d)
	}}
	if a.Resumed {
		return a, nil
	}
	var err error
	if a.Base, err = c.listing(ctx, c.Record(), d.From); err != nil {
		return a, err
	}
	if err := os.MkdirAll(filepath.Dir(c.incomingListing()), 0o700); err != nil {
		return a, err
	}
	if d.From != "" {
		return a, snapshotSubvolume(c.snapshotPath(d.From), c.incomingPath(), false)
	}
	return a, createSubvolume(c.incomingPath())
}

// began notes that what is incoming is a part of a delta from now on, in this state and no other.
func (c *subvolumes) began(d volume.Delta) error {
	return c.Update(func(r *copystore.Record) {
		r.Transit = &copystore.Transit{From: d.From, To: d.To, Token: cluster.NewUUID()}
	})
}

// stays reports whether what has arrived of a stream that broke off is worth its space.
func (b *Backend) stays(c *subvolumes, err error) bool {
	space, spaceErr := b.root.Space()
	return c.Record().Transit != nil && !errors.Is(err, cluster.ErrConflict) && !errors.Is(err, cluster.ErrInvalid) && !cluster.Lasting(err) &&
		spaceErr == nil && !space.Tight()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
