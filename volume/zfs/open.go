package zfs

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Open implements volume.Backend. That it may be written is on record before it can be.
func (b *Backend) Open(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (string, error) {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	if err == nil {
		err = mayOpen(d, epoch, base)
	}
	if err == nil && d.role() == cluster.Replica && d.own(propIncoming) != "" {
		if _, err = b.discard(ctx, d.name); err == nil { // what has come after its head
			d, err = b.one(ctx, d.name)
		}
	}
	if err != nil {
		return "", fmt.Errorf("open volume %s: %w", id, err)
	}
	properties := map[string]string{propOpen: "on"}
	if d.role() != cluster.Primary || d.epoch() != epoch {
		properties[propRole], properties[propEpoch] = string(cluster.Primary), strconv.FormatUint(uint64(epoch), 10)
		properties[propChanged], properties["readonly"], properties[propIncoming] = stamp(), "off", ""
	}
	if at := d.properties["mountpoint"].text; at != b.Path(id) {
		properties["mountpoint"] = b.Path(id) // the agent was given another mount root
		if err := b.unmount(ctx, d); err != nil {
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
		at = head.identity()
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
	if !d.mayWrite() && !d.mounted() {
		return nil
	}
	if err := b.unmount(ctx, d); err != nil {
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
