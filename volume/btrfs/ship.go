package btrfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/feed"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copydir"
	"github.com/drover/drover/volume/dir"
)

// sendArgs is struct btrfs_ioctl_send_args.
type sendArgs struct {
	fd           int64
	cloneCount   uint64
	cloneSources *uint64
	parentRoot   uint64
	flags        uint64
	version      uint32
	_            [28]byte
}

// flagNoData leaves the content of files out of a stream.
const flagNoData = 1 << 0

// Send implements volume.Backend.
func (b *Backend) Send(ctx context.Context, d volume.Delta, w io.Writer) error {
	c, err := b.find(d.Volume)
	if err != nil {
		return err
	}
	record := c.Record()
	parent := ""
	snapshot, err := record.Snapshot(d.To)
	if err == nil && d.Files {
		err = c.sendFiles(ctx, d, snapshot, w)
	}
	if err != nil || d.Files {
		return sendError(d, err)
	}
	if d.From != "" {
		if err := c.native(d.From, record); err != nil {
			return sendError(d, err)
		}
		parent = c.snapshotPath(d.From)
	}
	if err := writeHeader(w, snapshot); err != nil {
		return err
	}
	return sendError(d, send(ctx, c.snapshotPath(d.To), parent, 0, w))
}

func sendError(d volume.Delta, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("send %s: %w", d, err)
}

// native reports whether a snapshot can be the parent of a stream. One that came by the files view
// has the sender's GUID, which the kernel knows nothing of.
func (c *subvolumes) native(name cluster.SnapshotName, record copydir.Record) error {
	snapshot, err := record.Snapshot(name)
	if err != nil {
		return err
	}
	info, err := infoOf(c.snapshotPath(name))
	if err == nil && info.lineage() != snapshot.GUID {
		err = fmt.Errorf("%w: snapshot %s has come from a backend of another kind", cluster.ErrStale, name)
	}
	return err
}

// send writes the kernel's stream of a read-only subvolume, as a difference to the parent if
// there is one. It goes through a pipe, which is what the kernel writes to.
func send(ctx context.Context, subvolume, parent string, flags uint64, w io.Writer) error {
	from, err := os.Open(subvolume)
	if err != nil {
		return err
	}
	defer from.Close()
	args := sendArgs{flags: flags}
	if parent != "" {
		info, err := infoOf(parent)
		if err != nil {
			return err
		}
		args.parentRoot, args.cloneCount, args.cloneSources = info.TreeID, 1, &info.TreeID
	}
	out, in, err := feed.Pipe()
	if err != nil {
		return err
	}
	args.fd = int64(in.Fd())
	sent := make(chan error, 1)
	go func() {
		err := ioctl(from, directionWrite, numberSend, unsafe.Sizeof(args), unsafe.Pointer(&args))
		runtime.KeepAlive(args.cloneSources)
		in.Close()
		sent <- err
	}()
	// Closing the reading end is what makes the kernel give up.
	stop := context.AfterFunc(ctx, func() { out.Close() })
	_, copyErr := feed.Copy(w, out)
	stop()
	out.Close()
	sendErr := <-sent
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case copyErr != nil:
		return copyErr
	case sendErr != nil:
		return fmt.Errorf("the kernel's send: %w", sendErr)
	}
	return nil
}

// differs reports whether the content has changed since a snapshot, in more than times.
func (c *subvolumes) differs(ctx context.Context, name cluster.SnapshotName) (bool, error) {
	const probe cluster.SnapshotName = "drover.probe"
	path := c.snapshotPath(probe)
	if err := errors.Join(deleteSubvolume(path), snapshotSubvolume(c.Data(), path, true)); err != nil {
		return false, err
	}
	what := &digest{}
	err := send(ctx, path, c.snapshotPath(name), flagNoData, what)
	return what.changes > 0, errors.Join(err, deleteSubvolume(path))
}

// Estimate implements volume.Estimator: it asks the kernel for the stream without the content of files.
func (b *Backend) Estimate(ctx context.Context, d volume.Delta) (int64, error) {
	c, err := b.find(d.Volume)
	if err != nil {
		return 0, err
	}
	parent := ""
	if d.From != "" {
		parent = c.snapshotPath(d.From)
	}
	what := &digest{}
	err = send(ctx, c.snapshotPath(d.To), parent, flagNoData, what)
	return what.bytes + what.content, err
}

// Receive implements volume.Backend. The stream makes a new snapshot beside those that are there;
// it counts when it is on the record, and until then a cut leaves nothing.
func (b *Backend) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	c, err := b.expect(d)
	if err != nil {
		return fmt.Errorf("receive %s: %w", d, err)
	}
	defer c.Op.Unlock()
	err = b.receive(ctx, c, d, r)
	if err == nil {
		return nil
	}
	err = errors.Join(err, deleteSubvolume(c.snapshotPath(d.To)))
	if noSpace(err) {
		// What was deleted frees its space only after a while: another try may find it.
		if syncErr := b.reclaim(ctx); syncErr != nil {
			b.log.Warn("could not wait for the space of deleted subvolumes", "error", syncErr)
		}
		err = fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	}
	return fmt.Errorf("receive %s: %w", d, err)
}

func (b *Backend) receive(ctx context.Context, c *subvolumes, d volume.Delta, r io.Reader) error {
	if err := c.deleteSnapshot(d.To); err != nil {
		return err
	}
	start, snapshot, err := peekHeader(r)
	if err != nil {
		return err
	}
	if dir.IsFiles(start) {
		snapshot, err = c.receiveFiles(ctx, d, io.MultiReader(bytes.NewReader(start), r))
	} else {
		err = c.receiveNative(ctx, d, snapshot, r)
	}
	if err == nil && snapshot.Name != d.To {
		err = fmt.Errorf("%w: the stream is of snapshot %q", cluster.ErrInvalid, snapshot.Name)
	}
	if err != nil {
		return err
	}
	err = c.Note(func(now *copydir.Record) {
		now.Snapshots = append(now.Snapshots, snapshot)
		now.Head = snapshot.GUID
	})
	if err != nil {
		return err
	}
	// The snapshot and its record at once: the sender waits for this, and clients for the sender.
	return syncFileSystem(c.Dir)
}

// receiveNative applies a stream of the kernel's.
func (c *subvolumes) receiveNative(ctx context.Context, d volume.Delta, snapshot cluster.Snapshot, r io.Reader) error {
	if err := receive(ctx, c.Dir, r); err != nil {
		return err
	}
	info, err := infoOf(c.snapshotPath(d.To))
	switch {
	case err != nil:
		return err
	case !info.readOnly() || info.lineage() != snapshot.GUID:
		return fmt.Errorf("%w: what was received is %s, not %s", cluster.ErrConflict, info.lineage(), snapshot.GUID)
	}
	return nil
}

// expect finds or makes the copy that a stream is for, locked.
func (b *Backend) expect(d volume.Delta) (*subvolumes, error) {
	if len(d.Resume) > 0 {
		return nil, fmt.Errorf("%w: there is nothing to go on with", cluster.ErrStale)
	}
	found, err := b.root.Find(d.Volume)
	if errors.Is(err, cluster.ErrNotFound) && d.From == "" {
		found, err = b.root.Add(d.Volume, copydir.Record{Role: cluster.Replica}, func(*copydir.Copy) error { return nil })
	}
	if err != nil {
		return nil, err
	}
	c := of(found)
	if !c.Op.TryLock() {
		return nil, fmt.Errorf("%w: the copy is busy", cluster.ErrConflict)
	}
	again, err := c.mayReceive(d)
	if err != nil || !again {
		if err != nil {
			c.Op.Unlock()
		}
		return c, err
	}
	_, err = c.SetAside("replaced")
	c.Op.Unlock()
	if err != nil {
		return nil, err
	}
	return b.expect(d)
}

// mayReceive says whether a stream may be applied; aside means that a full stream has come for a
// copy with content of its own, which must be kept.
func (c *subvolumes) mayReceive(d volume.Delta) (aside bool, err error) {
	now := c.Record()
	if now.Role == cluster.Primary {
		return false, fmt.Errorf("%w: this node has a primary copy of epoch %d", cluster.ErrConflict, now.Epoch)
	}
	if d.From == "" {
		return len(now.Snapshots) > 0, nil
	}
	if _, err := now.Snapshot(d.From); err != nil {
		return false, fmt.Errorf("%w: the copy does not hold snapshot %s", cluster.ErrStale, d.From)
	}
	return false, nil
}
