package zfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/inuse"
)

// Open implements volume.Backend. That it may be written is on record before it can be.
func (b *Backend) Open(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (string, error) {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if err == nil {
		err = mayOpen(d, epoch, base)
	}
	if err != nil {
		return "", fmt.Errorf("open volume %s: %w", id, err)
	}
	properties := map[string]string{propOpen: "on"}
	if d.role() != cluster.Primary || d.epoch() != epoch {
		properties[propRole], properties[propEpoch] = string(cluster.Primary), strconv.FormatUint(uint64(epoch), 10)
		properties[propChanged], properties["readonly"] = stamp(), "off"
	}
	if at := d.properties["mountpoint"].text; at != b.Path(id) {
		properties["mountpoint"] = b.Path(id) // the agent was given another mount root
		if err := d.unmount(); err != nil {
			return "", fmt.Errorf("open volume %s: %w", id, err)
		}
	}
	b.forget(d)
	if !d.mayWrite() || len(properties) > 1 {
		if err := set(ctx, d.name, properties); err != nil {
			return "", fmt.Errorf("open volume %s: %w", id, err)
		}
	}
	if err := b.mount(ctx, d); err != nil {
		return "", fmt.Errorf("open volume %s: %w", id, err)
	}
	return b.Path(id), nil
}

// mayOpen says whether a copy may become a primary of that epoch, and if not, why.
func mayOpen(d *dataset, epoch cluster.Epoch, base string) error {
	at := ""
	if head := d.head(); head != nil {
		at = head.guid()
	}
	switch {
	case epoch < d.epoch():
		return fmt.Errorf("%w: the copy has seen epoch %d, the order is of %d", cluster.ErrStale, d.epoch(), epoch)
	case d.role() != cluster.Primary && (base == "" || at != base):
		return fmt.Errorf("%w: the copy is at snapshot %q, not at %q", cluster.ErrConflict, at, base)
	case d.locked():
		return cluster.WithHint(fmt.Errorf("%w: %s", cluster.ErrConflict, keyMissing), "zfs load-key "+d.name)
	}
	return nil
}

// mount makes the content appear at its place, and gives its root directory the owner that a new
// volume was to have.
func (b *Backend) mount(ctx context.Context, d *dataset) error {
	at := b.Path(d.volume())
	if !d.mounted() {
		if err := clearPlace(at); err != nil {
			return err
		}
		if err := zfs(ctx, "mount", d.name); err != nil {
			return err
		}
	}
	owner := d.own(propOwner)
	if owner == "" {
		return nil
	}
	uid, gid, _ := strings.Cut(owner, ":")
	var o volume.Options
	o.Owner, _ = strconv.Atoi(uid) // both were numbers when they were set
	o.Group, _ = strconv.Atoi(gid)
	if err := o.Own(at); err != nil {
		return err
	}
	return zfs(ctx, "inherit", propOwner, d.name)
}

// clearPlace makes the directory to mount at. What somebody wrote there while the volume was not
// mounted would be hidden by it, and is kept under another name.
func clearPlace(at string) error {
	err := os.Remove(at)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		err = os.Rename(at, fmt.Sprintf("%s.foreign.%d", at, time.Now().UnixNano()))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o711); err != nil {
		return err
	}
	return os.Mkdir(at, 0o711)
}

// unmount ends the use of the files at a place, or says who uses them. One process in a container
// is enough to go on writing after an unmount here, so all are looked for first.
func unmount(at string) error {
	if user := inuse.By(at); user != "" {
		return fmt.Errorf("%w: in use by %s", cluster.ErrConflict, user)
	}
	err := unix.Unmount(at, 0)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%w: unmount %s: busy; a process has a file or its working directory there", cluster.ErrConflict, at)
	}
	return os.NewSyscallError("unmount "+at, err)
}

// unmount ends the use of a dataset that is mounted.
func (d *dataset) unmount() error {
	if !d.mounted() {
		return nil
	}
	if err := unmount(d.properties["mountpoint"].text); err != nil {
		return err
	}
	d.properties["mounted"] = value{"no", "-"}
	return nil
}

// replay mounts a copy once that was open when the host lost its power. ZFS has the last writes that
// were acknowledged in its log then, and they come into the content, and into snapshots, by a mount;
// one for reading is enough.
func (b *Backend) replay(ctx context.Context, d *dataset) error {
	if !d.mayWrite() || d.mounted() {
		return nil
	}
	at := d.properties["mountpoint"].text
	err := clearPlace(at)
	if err == nil {
		err = zfs(ctx, "mount", "-o", "ro", d.name)
	}
	if err == nil {
		err = unmount(at)
	}
	if err != nil {
		return fmt.Errorf("mount it once, for what its log may hold: %w", err)
	}
	return nil
}

// Close implements volume.Backend.
func (b *Backend) Close(ctx context.Context, id cluster.VolumeID) error {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if err == nil {
		err = b.close(ctx, d)
	}
	if err != nil {
		return fmt.Errorf("close volume %s: %w", id, err)
	}
	return nil
}

func (b *Backend) close(ctx context.Context, d *dataset) error {
	if err := b.replay(ctx, d); err != nil {
		return err
	}
	if err := d.unmount(); err != nil {
		return err
	}
	if !d.mayWrite() {
		return nil
	}
	return set(ctx, d.name, map[string]string{propOpen: "off"})
}

// Demote implements volume.Backend. The pool knows whether anything was written after the last
// snapshot, also behind Drover's back.
func (b *Backend) Demote(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case d.mayWrite() || d.mounted():
		return fmt.Errorf("%w: demote volume %s: it is open", cluster.ErrConflict, id)
	case epoch < d.epoch():
		return fmt.Errorf("%w: demote volume %s: the copy has seen epoch %d, the order is of %d", cluster.ErrStale, id, d.epoch(), epoch)
	case d.role() == cluster.Primary && d.head() == nil:
		return b.diverged(ctx, d)
	}
	properties := map[string]string{propRole: string(cluster.Replica), propEpoch: strconv.FormatUint(uint64(epoch), 10), "readonly": "on"}
	if d.role() != cluster.Replica || d.epoch() != epoch {
		properties[propChanged] = stamp()
	}
	return set(ctx, d.name, properties)
}

// diverged keeps a copy with writes that nobody else has under another name.
func (b *Backend) diverged(ctx context.Context, d *dataset) error {
	common := cluster.SnapshotName("")
	for _, s := range d.snapshots {
		if s.counts() {
			common = cluster.SnapshotName(s.name)
		}
	}
	kept, err := b.setAside(ctx, d, "diverged")
	if err != nil {
		return err
	}
	return &volume.Diverged{Volume: d.volume(), Common: common, KeptAs: kept}
}
