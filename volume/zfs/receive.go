package zfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/widepipe"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/files"
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
	if err := checkDelta(d); err != nil {
		return err
	}
	start := make([]byte, startSize)
	n, err := io.ReadFull(r, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	r = io.MultiReader(bytes.NewReader(start[:n]), r)
	if files.Is(start[:n]) {
		return b.receiveFiles(ctx, d, r)
	}
	return b.receiveNative(ctx, d, r)
}

// startSize is how much of a stream tells of which kind it is.
const startSize = 32

// checkDelta returns cluster.ErrInvalid for an order that cannot be one of Drover's.
func checkDelta(d volume.Delta) error {
	err := checkID(d.Volume)
	if err == nil {
		err = checkSnapshot(d.To)
	}
	if err == nil && d.From != "" {
		err = checkSnapshot(d.From)
	}
	return err
}

// receiveNative applies a stream of ZFS's own.
func (b *Backend) receiveNative(ctx context.Context, d volume.Delta, r io.Reader) error {
	name, args, err := b.expect(ctx, d)
	if err != nil {
		return err
	}
	err = widepipe.Program(ctx, r, func(in *os.File) error { return stream(ctx, in, nil, "zfs", args...) })
	if errors.Is(err, errOtherBase) {
		return fmt.Errorf("%w; on one of the two nodes %s has come file by file, and what builds on it must come that way", err, d.From)
	}
	if err != nil {
		return err
	}
	return b.mark(ctx, name+"@"+string(d.To))
}

// mark makes a snapshot that was received one of Drover's, and holds it. The sender's properties have come
// with it, but not with a stream that goes on after a cut or builds on a bookmark. They are read by
// themselves: a sender can put anything into them.
func (b *Backend) mark(ctx context.Context, full string) error {
	said, err := run(ctx, "zfs", "get", "-Hp", "-o", "property,value", strings.Join(snapshotProperties, ","), full)
	if err != nil {
		return fmt.Errorf("look for what was received: %w", err)
	}
	if corrected := unbelievable(said); len(corrected) > 0 {
		if err := set(ctx, full, corrected); err != nil {
			return err
		}
	}
	return keepBase(ctx, full)
}

// unbelievable returns what must be set of the properties of a snapshot that was received, by what
// `zfs get` says of them. Unless it is a line for each, a value has lines of its own.
func unbelievable(said string) map[string]string {
	lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	values := map[string]string{}
	for i, property := range snapshotProperties {
		if len(lines) == len(snapshotProperties) {
			if text, ok := strings.CutPrefix(lines[i], property+"\t"); ok {
				values[property] = text
			}
		}
	}
	corrected := map[string]string{}
	for _, property := range snapshotProperties {
		text := values[property]
		fits := text == "" || text == "-" || markPattern.MatchString(text)
		switch {
		case property == propSnapshot && (text != forTransfer || len(values) < len(lines)):
			corrected[property] = forTransfer
		case property != propSnapshot && (!fits || len(values) < len(lines)):
			corrected[property] = ""
		}
	}
	return corrected
}

// markPattern is that of GUIDs, digests and times.
var markPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,127}$`)

// expect looks at what is here of the volume and returns the dataset that a stream is for with the
// arguments of `zfs receive`.
func (b *Backend) expect(ctx context.Context, d volume.Delta) (name string, args []string, err error) {
	here, err := b.receiver(ctx, d)
	if err != nil {
		return "", nil, err
	}
	switch {
	case here != nil && len(d.Resume) > 0:
		return here.name, []string{"receive", "-s", "-u", here.name}, set(ctx, here.name, map[string]string{propArriving: string(d.To)})
	case here != nil:
		return here.name, receiveArgs(here.name, d, b.replica(d, here.epoch(), here.own(propChanged))), nil
	}
	name, err = b.free(ctx, d.Volume, d.Labels.Name, "")
	return name, receiveArgs(name, d, b.replica(d, 0, stamp())), err
}

// receiver returns the dataset that a stream may be applied to; nil if one must be made for it.
func (b *Backend) receiver(ctx context.Context, d volume.Delta) (*dataset, error) {
	here, err := b.find(ctx, d.Volume)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return nil, err
	}
	if here != nil {
		if here, err = b.mayReceive(ctx, here, d); err != nil {
			return nil, err
		}
	}
	switch {
	case here != nil:
		return here, nil
	case len(d.Resume) > 0:
		return nil, fmt.Errorf("%w: there is nothing to go on with", cluster.ErrStale)
	case d.From != "":
		return nil, fmt.Errorf("%w: there is no copy that holds snapshot %s", cluster.ErrStale, d.From)
	}
	return nil, nil
}

// replica are the properties of a copy that arrives. All of them go with every stream: properties
// that come in the first stream to a dataset that was made here replace those that were set here.
func (b *Backend) replica(d volume.Delta, epoch cluster.Epoch, changed string) map[string]string {
	p := b.identity(d.Volume, d.Labels)
	p[propRole], p[propEpoch], p[propChanged] = string(cluster.Replica), strconv.FormatUint(uint64(epoch), 10), changed
	p["readonly"], p[propArriving] = "on", string(d.To)
	for _, sent := range []string{propTrash, propSince, propRollback, propOwner, propIncoming} {
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
	case len(d.Resume) > 0 && b.goesOn(here, d):
		return here, nil
	case len(d.Resume) > 0 && here.part() != nil:
		return nil, fmt.Errorf("%w: what has arrived of %s is no longer here", cluster.ErrStale, d)
	case here.own(propIncoming) != "":
		// Another stream than the one of files that was cut, or of an earlier version.
		gone, err := b.discard(ctx, here.name)
		if err != nil || gone {
			return nil, err
		}
		if here, err = b.one(ctx, here.name); err != nil {
			return nil, err
		}
		return b.mayReceive(ctx, here, d)
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
