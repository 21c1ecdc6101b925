package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copydir"
)

// Receive implements volume.Backend. It changes the replica in place, block by block. While it
// does, the copy is in transit: good for nothing but to go on with, which its token is for.
func (b *Backend) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	c, base, err := b.expect(d)
	if err != nil {
		return fmt.Errorf("receive %s: %w", d, err)
	}
	defer c.Op.Unlock()
	if err := c.receive(ctx, d, base, r); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			err = fmt.Errorf("%w: %w", cluster.ErrRefused, err)
		}
		return fmt.Errorf("receive %s: %w", d, err)
	}
	return nil
}

// expect finds or makes the copy that a stream is for, locked, and what it holds.
func (b *Backend) expect(d volume.Delta) (*copyDir, *manifest, error) {
	c, err := b.find(d.Volume)
	if errors.Is(err, cluster.ErrNotFound) && d.From == "" && len(d.Resume) == 0 {
		if c, err = b.add(d.Volume, copydir.Record{Role: cluster.Replica}, volume.Options{}); err != nil {
			return nil, nil, err
		}
		c.Op.Lock()
		return c, &manifest{}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if !c.Op.TryLock() {
		return nil, nil, fmt.Errorf("%w: the copy is busy", cluster.ErrConflict)
	}
	base, err := c.receiveBase(d)
	if errors.Is(err, errOverwrite) {
		_, err = c.SetAside("replaced")
		c.Op.Unlock()
		if err != nil {
			return nil, nil, err
		}
		return b.expect(d)
	}
	if err != nil {
		c.Op.Unlock()
		return nil, nil, err
	}
	return c, base, nil
}

// errOverwrite: a full stream has come for a copy that exists.
var errOverwrite = errors.New("there is a copy already")

// receiveBase returns the manifest that the stream is a difference to.
func (c *copyDir) receiveBase(d volume.Delta) (*manifest, error) {
	now := c.Record()
	transit := now.Transit
	switch {
	case now.Role == cluster.Primary:
		return nil, fmt.Errorf("%w: this node has a primary copy of epoch %d", cluster.ErrConflict, now.Epoch)
	case len(d.Resume) > 0 && transit != nil && transit.From == d.From && transit.To == d.To:
		return loadManifest(c.partialPath())
	case len(d.Resume) > 0:
		return nil, fmt.Errorf("%w: there is nothing to go on with", cluster.ErrStale)
	case d.From == "":
		return nil, errOverwrite
	}
	for _, s := range now.Snapshots {
		if s.Name == d.From && s.GUID == now.Head {
			return loadManifest(c.manifestPath(d.From))
		}
	}
	return nil, fmt.Errorf("%w: the copy is not at snapshot %s", cluster.ErrStale, d.From)
}

func (c *copyDir) receive(ctx context.Context, d volume.Delta, base *manifest, r io.Reader) error {
	snapshot, m, err := ReceiveFiles(ctx, c.Data(), base, r, func() error {
		err := c.Update(func(now *copydir.Record) {
			now.Head, now.Transit = "", &copydir.Transit{From: d.From, To: d.To}
		})
		// From here on a crash means that the files must be looked at to know what they are.
		return errors.Join(err, removeIfThere(c.partialPath()))
	})
	if err != nil && m != nil {
		err = errors.Join(err, m.save(c.partialPath()))
	}
	if err != nil {
		return err
	}
	return c.arrived(d, snapshot, m)
}

// apply applies frames up to the last and returns the first and the last one's content.
func apply(t *tree, in *streamReader) (header streamHeader, digest hash, err error) {
	for {
		kind, payload, err := in.next()
		if err != nil {
			return header, digest, err
		}
		switch kind {
		case frameHeader:
			err = decodeJSON(payload, &header)
		case frameDelete:
			path := string(payload)
			if err = checkPath(path); err == nil {
				err = t.remove(path)
			}
		case frameEntry:
			var e entry
			if e, err = parseEntry(payload); err == nil {
				err = t.put(e)
			}
		case frameBlock, frameZeros:
			var number uint64
			var h hash
			var data []byte
			if number, h, data, err = parseBlock(kind, payload); err == nil {
				err = t.write(number, h, data)
			}
		case frameManifest:
			if copy(digest[:], payload) != len(digest) {
				err = fmt.Errorf("%w: a digest of %d bytes", cluster.ErrInvalid, len(payload))
			}
			return header, digest, err
		default:
			err = fmt.Errorf("%w: a record of kind %q in a stream", cluster.ErrInvalid, kind)
		}
		if err != nil {
			return header, digest, err
		}
	}
}

// arrived makes the copy a replica at the snapshot.
func (c *copyDir) arrived(d volume.Delta, snapshot cluster.Snapshot, m *manifest) error {
	if err := m.save(c.manifestPath(d.To)); err != nil {
		return err
	}
	err := c.Update(func(now *copydir.Record) {
		now.Head, now.Transit = snapshot.GUID, nil
		// The content of the base is gone, unless it was kept: so is its meaning.
		if base, err := now.Snapshot(d.From); err == nil && !base.Kept {
			now.Forget(d.From)
		}
		now.Snapshots = append(now.Snapshots, snapshot)
	})
	if err != nil {
		return err
	}
	c.Used.Note(m.bytes())
	if d.From != "" {
		return removeIfThere(c.manifestPath(d.From))
	}
	return nil
}

// contextReader ends a read loop when its context ends, even if the data keeps coming.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
