package zfs

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/widepipe"
	"github.com/drover/drover/volume"
)

// Send implements volume.Backend. Unless it is to be one of files, the stream is ZFS's own, with the
// properties of the dataset; any `zfs receive` takes it.
func (b *Backend) Send(ctx context.Context, d volume.Delta, w io.Writer) error {
	var err error
	if d.Files {
		err = b.sendFiles(ctx, d, w)
	} else {
		err = b.sendNative(ctx, d, w)
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", d, err)
	}
	return nil
}

func (b *Backend) sendNative(ctx context.Context, d volume.Delta, w io.Writer) error {
	args, err := b.sendArgs(ctx, d)
	if err != nil {
		return err
	}
	out, in, err := widepipe.Pipe()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		defer in.Close()
		sent <- stream(ctx, nil, in, "zfs", append([]string{"send"}, args...)...)
	}()
	_, copyErr := widepipe.Copy(w, out)
	out.Close() // a program that still writes does so for nobody
	if copyErr != nil {
		cancel()
		<-sent
		return copyErr
	}
	return <-sent
}

// sendArgs are the arguments of `zfs send` for a delta: blocks as they are on disk (-c -L -e),
// encrypted ones raw (-w), and the properties (-p) unless the base is a bookmark, from which ZFS can't
// send them; the round after brings them.
func (b *Backend) sendArgs(ctx context.Context, d volume.Delta) ([]string, error) {
	here, err := b.find(ctx, d.Volume)
	if err != nil {
		return nil, err
	}
	to := here.snapshot(d.To)
	switch {
	case to == nil && len(d.Resume) > 0:
		return nil, fmt.Errorf("%w: snapshot %s, of which a part has arrived, is gone", cluster.ErrStale, d.To)
	case to == nil:
		return nil, fmt.Errorf("snapshot %s: %w", d.To, cluster.ErrNotFound)
	case len(d.Resume) > 0:
		return []string{"-t", string(d.Resume)}, mayResume(ctx, here, to, d)
	}
	args := []string{"-c", "-e"}
	if b.features().has("large_blocks") {
		args = append(args, "-L")
	}
	if here.encrypted() {
		args = append(args, "-w")
	}
	mark := "@"
	switch {
	case d.From != "" && here.snapshot(d.From) == nil && named(here.bases(), d.From) == nil:
		return nil, fmt.Errorf("%w: the base %s is gone", cluster.ErrStale, d.From)
	case d.From != "" && here.snapshot(d.From) == nil:
		mark = "#" + bookmarkPrefix
	default:
		args = append(args, "-p")
	}
	if d.From != "" {
		args = append(args, "-i", mark+string(d.From))
	}
	return append(args, here.name+"@"+string(d.To)), nil
}

// Estimate implements volume.Estimator: ZFS knows it without reading the data. File by file it comes to
// about the same.
func (b *Backend) Estimate(ctx context.Context, d volume.Delta) (int64, error) {
	if d.Files {
		d.Resume = nil
	}
	args, err := b.sendArgs(ctx, d)
	if err != nil {
		return 0, err
	}
	out, err := run(ctx, "zfs", append([]string{"send", "-nP"}, args...)...)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(out) {
		if size, ok := strings.CutPrefix(strings.TrimSpace(line), "size\t"); ok {
			return strconv.ParseInt(size, 10, 64)
		}
	}
	return 0, fmt.Errorf("estimate %s: zfs send -nP said no size: %q", d, out)
}
