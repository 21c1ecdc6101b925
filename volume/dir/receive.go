package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
	"github.com/drover/drover/volume/files"
)

// Receive implements volume.Backend. It changes the replica in place, block by block. While it
// does, the copy is in transit: good for nothing but to go on with, which its listing is for.
func (b *Backend) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	c, err := b.expect(d)
	if err != nil {
		return fmt.Errorf("receive %s: %w", d, err)
	}
	defer c.Op.Unlock()
	err = full(c.receive(ctx, d, r))
	if errors.Is(err, cluster.ErrRefused) && len(d.Resume) > 0 {
		// For the second time. What is in the way may be what arrived of files that are no longer there.
		err = errors.Join(fmt.Errorf("%w; what had arrived before was deleted, to make room", err), c.makeRoom())
	}
	if err != nil {
		return fmt.Errorf("receive %s: %w", d, err)
	}
	return nil
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
	if !c.worthless() {
		return fmt.Errorf("%w: volume %s: the copy is more than what has arrived of a transfer", cluster.ErrConflict, id)
	}
	return c.makeRoom()
}

// worthless reports whether the copy is nothing but what has arrived of a transfer.
func (c *copyDir) worthless() bool {
	r := c.Record()
	return r.Transit != nil && !slices.ContainsFunc(r.Snapshots, func(s cluster.Snapshot) bool { return s.Kept })
}

// full marks an error that only the operator can mend, by making room.
func full(err error) error {
	if cluster.Full(err) {
		return fmt.Errorf("%w: %w", cluster.ErrRefused, err)
	}
	return err
}

// expect finds or makes the copy that a stream is for, locked.
func (b *Backend) expect(d volume.Delta) (*copyDir, error) {
	c, err := b.find(d.Volume)
	if errors.Is(err, copystore.ErrBroken) && d.From == "" && len(d.Resume) == 0 {
		if err := b.root.GiveWay(d.Volume); err != nil {
			return nil, err
		}
		c, err = b.find(d.Volume)
	}
	if errors.Is(err, cluster.ErrNotFound) && d.From == "" && len(d.Resume) == 0 {
		return b.begin(d.Volume, nil, "")
	}
	if err != nil {
		return nil, err
	}
	if err := c.TryLock(); err != nil {
		return nil, err
	}
	err = c.mayReceive(d)
	if errors.Is(err, errOverwrite) {
		kept := slices.DeleteFunc(slices.Clone(c.Record().Snapshots), func(s cluster.Snapshot) bool { return !s.Kept || !exists(c.keptTree(s.Name)) })
		aside, err := c.giveWay()
		c.Op.Unlock()
		if err != nil {
			return nil, err
		}
		return b.begin(d.Volume, kept, aside)
	}
	if err != nil {
		c.Op.Unlock()
		return nil, err
	}
	return c, nil
}

// begin makes an empty replica, locked, for a full stream. The snapshots that users keep come along from
// the copy that it takes the place of: each is a tree of its own.
func (b *Backend) begin(id cluster.VolumeID, kept []cluster.Snapshot, aside string) (*copyDir, error) {
	c, err := b.add(id, copystore.Record{Role: cluster.Replica, Snapshots: kept}, volume.Options{}, func(c *copyDir) error {
		if len(kept) == 0 {
			return nil
		}
		old := &copyDir{&copystore.Copy{Dir: aside}}
		return os.Rename(old.keptTrees(), c.keptTrees())
	})
	if err != nil {
		return nil, err
	}
	return c, c.Lock()
}

// errOverwrite: a full stream has come for a copy that exists.
var errOverwrite = errors.New("there is a copy already")

// giveWay makes room for a full stream. What was in transit means nothing without the transfer, and
// its space is given back at once; all else is kept aside.
func (c *copyDir) giveWay() (aside string, err error) {
	worthless := c.worthless()
	aside, err = c.SetAside("replaced")
	if err != nil || !worthless {
		return aside, err
	}
	return aside, files.RemoveAll(aside)
}

// makeRoom is giveWay without a stream.
func (c *copyDir) makeRoom() error {
	_, err := c.giveWay()
	return err
}

// mayReceive reports whether a stream is a difference to what the copy holds.
func (c *copyDir) mayReceive(d volume.Delta) error {
	now := c.Record()
	transit := now.Transit
	switch {
	case now.Role == cluster.Primary:
		return fmt.Errorf("%w: this node has a primary copy of epoch %d", cluster.ErrConflict, now.Epoch)
	case len(d.Resume) > 0 && transit != nil && transit.Token == string(d.Resume) && exists(c.partialPath()):
		return nil
	case len(d.Resume) > 0:
		return fmt.Errorf("%w: there is nothing to go on with", cluster.ErrStale)
	case d.From == "":
		return errOverwrite
	}
	for _, s := range now.Snapshots {
		if s.Name == d.From && s.GUID == now.Head && c.listed(d.From) {
			return nil
		}
	}
	return fmt.Errorf("%w: the copy is not at snapshot %s", cluster.ErrStale, d.From)
}

func (c *copyDir) receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	listing, done := c.read()
	defer done()
	arrival := files.Arrival{Root: c.Data(), Save: c.partialPath(), Resumed: len(d.Resume) > 0}
	if d.From != "" && !arrival.Resumed {
		arrival.Base = listing(d.From)
	}
	arrival.Begin = func(s cluster.Snapshot) error {
		if s.Name != d.To {
			return fmt.Errorf("%w: the stream is of snapshot %q", cluster.ErrInvalid, s.Name)
		}
		err := c.Update(func(now *copystore.Record) {
			now.Head, now.Transit = "", &copystore.Transit{From: d.From, To: d.To, Token: cluster.NewUUID()}
		})
		// From here on a crash means that the files must be looked at to know what they are.
		return errors.Join(err, removeIfThere(c.partialPath()))
	}
	snapshot, sum, err := files.Receive(ctx, arrival, r)
	var changed *files.Changed
	if errors.As(err, &changed) {
		return c.setAside(d, changed)
	}
	if err != nil {
		return err
	}
	snapshot.Digest = sum.Digest
	c.Used.Note(sum.Bytes)
	return c.arrived(d, snapshot)
}

// setAside keeps a replica that somebody has written to. The next transfer ships in full.
func (c *copyDir) setAside(d volume.Delta, changed *files.Changed) error {
	aside, err := c.SetAside("diverged")
	if err != nil {
		return errors.Join(changed, err)
	}
	return fmt.Errorf("%w: %w", &volume.Diverged{Volume: d.Volume, Common: d.From, KeptAs: aside}, changed)
}

// arrived makes the copy a replica at the snapshot.
func (c *copyDir) arrived(d volume.Delta, snapshot cluster.Snapshot) error {
	err := durable.MkdirAll(c.listings(), 0o700)
	if err == nil {
		err = durable.Rename(c.partialPath(), c.savePath(d.To))
	}
	if err != nil {
		return err
	}
	err = c.Update(func(now *copystore.Record) {
		now.Head, now.Transit = snapshot.GUID, nil
		// The content of the base is gone, unless it was kept: so is its meaning.
		if base, err := now.Snapshot(d.From); err == nil && !base.Kept {
			now.Forget(d.From)
		}
		now.Forget(snapshot.Name)
		now.Snapshots = append(now.Snapshots, snapshot)
	})
	if err == nil && d.From != "" {
		err = c.removeListing(d.From)
	}
	return err
}

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
	if !exists(c.partialPath()) {
		_, err := files.Survey(ctx, c.Data(), c.partialPath())
		if errors.Is(full(err), cluster.ErrRefused) && c.worthless() {
			err = errors.Join(fmt.Errorf("%w: the disk is full, and what had arrived was deleted to make room", cluster.ErrStale), c.makeRoom())
		}
		if err != nil {
			return nil, fmt.Errorf("look at what has arrived of volume %s: %w", id, full(err))
		}
	}
	return os.Open(c.partialPath())
}
