package zfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/feed"
	"github.com/drover/drover/volume"
)

// Receive implements volume.Backend. ZFS applies a stream whole or not at all, keeps what has arrived
// of one that is cut, and has the result on stable storage when it ends.
func (b *Backend) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	defer b.hold(d.Volume)()
	err := b.receive(ctx, d, r)
	if err != nil {
		return fmt.Errorf("receive %s: %w", d, err)
	}
	return nil
}

func (b *Backend) receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	if d.Files {
		return fmt.Errorf("%w: the zfs backend takes streams of zfs only", cluster.ErrUnsupported)
	}
	name, args, err := b.expect(ctx, d)
	if err != nil {
		return err
	}
	err = feed.Program(ctx, r, func(in *os.File) error { return stream(ctx, in, nil, "zfs", args...) })
	if err != nil {
		return err
	}
	return b.mark(ctx, name+"@"+string(d.To))
}

// mark makes a snapshot that was received one of Drover's, and holds it. The sender's mark has come
// with it, but not with a stream that goes on after a cut or builds on a bookmark. It is read by itself:
// a sender can put anything into it.
func (b *Backend) mark(ctx context.Context, full string) error {
	said, err := run(ctx, "zfs", "get", "-Hp", "-o", "value", propSnapshot, full)
	if err != nil {
		return fmt.Errorf("look for what was received: %w", err)
	}
	if said != forTransfer+"\n" {
		if err := set(ctx, full, map[string]string{propSnapshot: forTransfer}); err != nil {
			return err
		}
	}
	return keepBase(ctx, full)
}

// expect looks at what is here of the volume and returns the dataset that a stream is for with the
// arguments of `zfs receive`.
func (b *Backend) expect(ctx context.Context, d volume.Delta) (name string, args []string, err error) {
	here, err := b.find(ctx, d.Volume)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return "", nil, err
	}
	if here != nil {
		if here, err = b.mayReceive(ctx, here, d); err != nil {
			return "", nil, err
		}
	}
	switch {
	case here != nil && len(d.Resume) > 0:
		return here.name, []string{"receive", "-s", "-u", here.name}, set(ctx, here.name, map[string]string{propArriving: string(d.To)})
	case here != nil:
		return here.name, receiveArgs(here.name, d, b.replica(d, here.epoch(), here.own(propChanged))), nil
	case len(d.Resume) > 0:
		return "", nil, fmt.Errorf("%w: there is nothing to go on with", cluster.ErrStale)
	case d.From != "":
		return "", nil, fmt.Errorf("%w: there is no copy that holds snapshot %s", cluster.ErrStale, d.From)
	}
	name, err = b.free(ctx, d.Volume, d.Labels.Name)
	return name, receiveArgs(name, d, b.replica(d, 0, stamp())), err
}

// replica are the properties of a copy that arrives. All of them go with every stream: properties
// that come in the first stream to a dataset that was made here replace those that were set here.
func (b *Backend) replica(d volume.Delta, epoch cluster.Epoch, changed string) map[string]string {
	p := b.identity(d.Volume, d.Labels)
	p[propRole], p[propEpoch], p[propChanged] = string(cluster.Replica), strconv.FormatUint(uint64(epoch), 10), changed
	p["readonly"], p[propArriving] = "on", string(d.To)
	for _, sent := range []string{propTrash, propSince, propRollback, propOwner} {
		p[sent] = "" // whatever the sender has there
	}
	return p
}

func receiveArgs(name string, d volume.Delta, properties map[string]string) []string {
	args := []string{"receive", "-s", "-u"}
	for _, assignment := range assignments(properties) {
		args = append(args, "-o", assignment)
	}
	// Nobody here has agreed to share files because somebody there does.
	return append(args, "-x", "sharenfs", "-x", "sharesmb", name+"@"+string(d.To))
}

// mayReceive returns the dataset that a stream may be applied to; nil if there is none any more,
// because what was here has been set aside for a full stream.
func (b *Backend) mayReceive(ctx context.Context, here *dataset, d volume.Delta) (*dataset, error) {
	switch {
	case here.role() == cluster.Primary:
		return nil, fmt.Errorf("%w: this node has a primary copy of epoch %d", cluster.ErrConflict, here.epoch())
	case len(d.Resume) > 0 && here.token() == string(d.Resume):
		return here, nil
	case len(d.Resume) > 0:
		return nil, fmt.Errorf("%w: what has arrived of %s is no longer here", cluster.ErrStale, d)
	}
	if here.token() != "" {
		// Another stream than the one that was cut: what has come of that is of no use any more.
		if err := zfs(ctx, "receive", "-A", here.name); err != nil {
			return nil, err
		}
		if len(here.snapshots) == 0 {
			b.changed()
			return nil, nil // it was the first, and is gone with its dataset
		}
	}
	if d.From == "" {
		_, err := b.setAside(ctx, here, "replaced")
		return nil, err
	}
	return here, b.mayBuildOn(ctx, here, d)
}

// mayBuildOn reports whether the newest snapshot of a replica is the base of a difference.
func (b *Backend) mayBuildOn(ctx context.Context, here *dataset, d volume.Delta) error {
	i := slices.IndexFunc(here.snapshots, func(s *snapshot) bool { return s.name == string(d.From) })
	switch {
	case here.changed():
		return b.diverged(ctx, here)
	case i < 0:
		return fmt.Errorf("%w: the copy does not hold snapshot %s", cluster.ErrStale, d.From)
	}
	if arrived := here.own(propArriving); here.snapshot(cluster.SnapshotName(arrived)) != nil {
		if err := b.mark(ctx, here.name+"@"+arrived); err != nil { // it may have come without anybody to mark it
			return err
		}
	}
	later := here.snapshots[i+1:]
	if j := slices.IndexFunc(later, (*snapshot).foreign); j >= 0 {
		err := fmt.Errorf("%w: %s@%s is newer than the base, and Drover has not made it", cluster.ErrConflict, here.name, later[j].name)
		return cluster.WithHint(err, "destroy it, and let whatever made it leave "+b.root+" out")
	}
	if len(later) > 0 {
		return fmt.Errorf("%w: the copy is at snapshot %s, not at %s", cluster.ErrStale, later[len(later)-1].name, d.From)
	}
	return nil
}
