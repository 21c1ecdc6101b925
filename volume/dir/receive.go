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
	in, err := newStreamReader(contextReader{ctx, r})
	if err != nil {
		return err
	}
	err = c.Update(func(now *copydir.Record) {
		now.Head, now.Transit = "", &copydir.Transit{From: d.From, To: d.To}
	})
	if err != nil {
		return err
	}
	// From here on a crash means that the files must be looked at to know what they are.
	if err := removeIfThere(c.partialPath()); err != nil {
		return err
	}
	t, err := openTree(c.Data(), base)
	if err != nil {
		return err
	}
	defer t.close()
	header, digest, err := apply(t, in)
	if err == nil {
		err = t.finish()
	}
	if err != nil {
		return errors.Join(err, t.manifest().save(c.partialPath()))
	}
	return c.arrived(t, header, digest)
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

// arrived checks that the copy is what the sender has, and makes it a replica at the snapshot.
func (c *copyDir) arrived(t *tree, header streamHeader, digest hash) error {
	m := t.manifest()
	m.Snapshot = header.Snapshot
	if got := m.digest(); got != digest {
		return errors.Join(fmt.Errorf("%w: the copy has digest %x, the sender's has %x", cluster.ErrConflict, got[:8], digest[:8]),
			m.save(c.partialPath()))
	}
	if err := m.save(c.manifestPath(header.To)); err != nil {
		return err
	}
	err := c.Update(func(now *copydir.Record) {
		now.Head, now.Transit = header.Snapshot.GUID, nil
		// The content of the base is gone, unless it was kept: so is its meaning.
		if base, err := now.Snapshot(header.From); err == nil && !base.Kept {
			now.Forget(header.From)
		}
		now.Snapshots = append(now.Snapshots, header.Snapshot)
	})
	if err != nil {
		return err
	}
	c.used.Note(m.bytes())
	if header.From != "" {
		return removeIfThere(c.manifestPath(header.From))
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
