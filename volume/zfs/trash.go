package zfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// trash is the dataset that holds what was put away. No volume can have this name: it has a colon.
func (b *Backend) trash() string { return b.root + "/drover:trash" }

// removed is why copies are in the trash that Remove put there.
const removed = "removed"

// setAside puts a copy away under a name that says what it was and when. The property is what
// counts; a crash before the dataset is renamed leaves it in its place, in the trash all the same.
func (b *Backend) setAside(ctx context.Context, d *dataset, why string) (string, error) {
	now := time.Now().UTC()
	if err := set(ctx, d.name, map[string]string{propTrash: why, propSince: now.Format(time.RFC3339Nano), "readonly": "on"}); err != nil {
		return "", err
	}
	b.changed()
	err := makeContainer(ctx, b.trash()) // somebody may have tidied up
	name := trashName(b.trash(), d.name, why, now.Format("20060102T150405.000"))
	if err == nil {
		err = rename(ctx, d.name, name)
	}
	if err != nil {
		b.o.Log.Warn("a copy that was put away stays where it is", "dataset", d.name, "error", err)
		return d.name, nil
	}
	return name, nil
}

// rename renames a dataset without a look at whether it is mounted.
func rename(ctx context.Context, from, to string) error { return zfs(ctx, "rename", "-u", from, to) }

// Remove implements volume.Backend.
func (b *Backend) Remove(ctx context.Context, id cluster.VolumeID) error {
	defer b.hold(id)()
	d, err := b.find(ctx, id)
	switch {
	case errors.Is(err, cluster.ErrNotFound):
		return nil
	case err != nil:
		return err
	case d.mayWrite() || d.mounted():
		return fmt.Errorf("%w: remove volume %s: it is open", cluster.ErrConflict, id)
	}
	_, err = b.setAside(ctx, d, removed)
	return err
}

// discarded returns the datasets in the trash, oldest first.
func (b *Backend) discarded(ctx context.Context) ([]*dataset, *inventory, error) {
	all, err := b.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	var found []*dataset
	for _, d := range all.datasets {
		if d.volume() != "" && d.discarded() {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b *dataset) int { return cmp.Compare(a.own(propSince), b.own(propSince)) })
	return found, all, nil
}

// Trash implements volume.Trasher.
func (b *Backend) Trash(ctx context.Context) ([]volume.Copy, error) {
	found, all, err := b.discarded(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the trash: %w", err)
	}
	var copies []volume.Copy
	for _, d := range found {
		if d.own(propTrash) == removed {
			c := b.copyOf(d, all)
			c.Path = d.name
			copies = append(copies, c)
		}
	}
	return copies, nil
}

// Aside implements volume.Trasher.
func (b *Backend) Aside(ctx context.Context) ([]cluster.SetAside, error) {
	found, _, err := b.discarded(ctx)
	if err != nil {
		return nil, fmt.Errorf("list what was set aside: %w", err)
	}
	var aside []cluster.SetAside
	for _, d := range found {
		if why := d.own(propTrash); why != removed {
			aside = append(aside, cluster.SetAside{Volume: d.volume(), Why: why, At: d.when(propSince), Path: d.name, Bytes: d.number("referenced")})
		}
	}
	return aside, nil
}

// Restore implements volume.Trasher.
func (b *Backend) Restore(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	defer b.hold(id)()
	switch _, err := b.find(ctx, id); {
	case err == nil:
		return fmt.Errorf("restore volume %s: %w", id, cluster.ErrExists)
	case !errors.Is(err, cluster.ErrNotFound):
		return err
	}
	found, _, err := b.discarded(ctx)
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(found) {
		if d.volume() == id && d.own(propTrash) == removed && d.role() == cluster.Primary && d.epoch() == epoch {
			return b.bringBack(ctx, d)
		}
	}
	return fmt.Errorf("restore volume %s: %w: no copy of epoch %d is in the trash", id, cluster.ErrNotFound, epoch)
}

// bringBack takes a primary copy out of the trash.
func (b *Backend) bringBack(ctx context.Context, d *dataset) error {
	home, err := b.free(ctx, d.volume(), d.own(propName), "")
	if err != nil {
		return err
	}
	if strings.HasPrefix(d.name, b.trash()+"/") {
		if err := rename(ctx, d.name, home); err != nil {
			return err
		}
	} else {
		home = d.name // a crash came before it was renamed
	}
	if err := set(ctx, home, map[string]string{"readonly": "off"}); err != nil {
		return err
	}
	return zfs(ctx, "inherit", propTrash, home)
}

// Purge implements volume.Trasher.
func (b *Backend) Purge(ctx context.Context, before time.Time) error {
	found, _, err := b.discarded(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range found {
		if d.when(propSince).Before(before) {
			errs = append(errs, b.purge(ctx, d))
		}
	}
	b.changed()
	return errors.Join(errs...)
}

// purge destroys a dataset with its snapshots. Clones of them outlive it: each takes over what it
// shares with it.
func (b *Backend) purge(ctx context.Context, d *dataset) error {
	defer b.hold(d.volume())()
	if err := b.handOver(ctx, d); err != nil {
		return fmt.Errorf("purge %s: %w", d.name, err)
	}
	now, err := b.read(ctx, d.name, listed)
	if err != nil {
		return fmt.Errorf("purge %s: %w", d.name, err)
	}
	if len(now.datasets) != 1 {
		return fmt.Errorf("%w: purge %s: somebody has made %s below it", cluster.ErrConflict, d.name, now.datasets[1].name)
	}
	// Asked once more for this alone: nothing is destroyed by a listing that somebody may have forged.
	said, err := run(ctx, "zfs", "get", "-Hp", "-o", "value,source", propTrash, d.name)
	if err != nil {
		return fmt.Errorf("purge %s: %w", d.name, err)
	}
	if said != d.own(propTrash)+"\tlocal\n" {
		return nil // it has been brought back
	}
	for _, s := range now.datasets[0].snapshots {
		if err := release(ctx, d.name+"@"+s.name); err != nil {
			return fmt.Errorf("purge %s: %w", d.name, err)
		}
	}
	if err := zfs(ctx, "destroy", "-r", d.name); err != nil {
		return fmt.Errorf("purge %s: %w", d.name, err)
	}
	for _, s := range append(now.datasets[0].snapshots, now.datasets[0].bases()...) {
		b.forgetListing(d, s)
	}
	// After a clone took over, the dataset hung on a snapshot of the clone's.
	return errors.Join(b.forgetOrigin(ctx, d.properties["origin"].text), b.forgetOrigin(ctx, now.datasets[0].properties["origin"].text))
}

// handOver makes the clones of a dataset's snapshots independent of it: they get the snapshots up to the
// one that they hang on. One whose name a clone has already gets another name first.
func (b *Backend) handOver(ctx context.Context, d *dataset) error {
	for _, s := range d.snapshots {
		for clone := range strings.SplitSeq(s.clones(), ",") {
			if clone == "" {
				continue
			}
			has, err := b.read(ctx, clone, listed)
			if err != nil {
				return err
			}
			for _, mine := range d.snapshots {
				if has.datasets[0].snapshot(cluster.SnapshotName(mine.name)) == nil {
					continue
				}
				name := mine.name + "." + d.own(propSince)
				if err := rename(ctx, d.name+"@"+mine.name, d.name+"@"+name); err != nil {
					return err
				}
				mine.name = name
			}
			if err := zfs(ctx, "promote", clone); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetOrigin destroys the snapshot that a clone hung on, if only clones did and this was the last.
func (b *Backend) forgetOrigin(ctx context.Context, origin string) error {
	if origin == "-" || origin == "" {
		return nil
	}
	s, err := snapshotAt(ctx, origin)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil // gone, or with another clone by now
	}
	if err != nil || s.purpose() != forClone || s.clones() != "" {
		return err
	}
	return b.destroy(ctx, origin)
}
