package btrfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/widepipe"
	"github.com/drover/drover/volume"
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
	if d.Files {
		err = c.sendFiles(ctx, d, w)
	} else {
		err = c.sendNative(ctx, d, w)
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", d, err)
	}
	return nil
}

// sendNative ships what the kernel makes of two snapshots.
func (c *subvolumes) sendNative(ctx context.Context, d volume.Delta, w io.Writer) error {
	h, err := c.ends(d)
	if err != nil {
		return err
	}
	parent := ""
	if d.From != "" {
		parent = c.snapshotPath(d.From)
	}
	flags, err := hasFlags(c.snapshotPath(d.To), parent)
	if err != nil {
		return err
	}
	if flags {
		return c.sendFiles(ctx, d, w)
	}
	return sendKernel(ctx, h, c.snapshotPath(d.To), parent, w)
}

// sendKernel ships the kernel's stream behind a header.
func sendKernel(ctx context.Context, h header, snapshot, parent string, w io.Writer) error {
	if err := h.write(w); err != nil {
		return err
	}
	return send(ctx, snapshot, parent, 0, func(pipe io.Reader) error {
		_, err := widepipe.Copy(w, pipe)
		return err
	})
}

// ends holds both ends of a delta against the record, and says what they are.
func (c *subvolumes) ends(d volume.Delta) (header, error) {
	record := c.Record()
	snapshot, err := record.Snapshot(d.To)
	if err != nil {
		return header{}, err
	}
	if record.Role == cluster.Primary {
		if err := noneNested(c.Data()); err != nil {
			return header{}, err
		}
	}
	to, err := c.intact(record, d.To)
	if err != nil {
		return header{}, err
	}
	h := header{Snapshot: snapshot, Lineage: to.Lineage}
	if d.From != "" {
		from, err := c.intact(record, d.From)
		if err != nil {
			return header{}, fmt.Errorf("%w: %w", cluster.ErrStale, err)
		}
		h.Base = from.Lineage
	}
	return h, nil
}

// send makes the kernel write the stream of a read-only subvolume, as a difference to the parent if
// there is one, and take read it out of the pipe that it goes through.
func send(ctx context.Context, subvolume, parent string, flags uint64, take func(pipe io.Reader) error) error {
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
	out, in, err := widepipe.Pipe()
	if err != nil {
		return err
	}
	args.fd = int64(in.Fd())
	sent := make(chan error, 1)
	go func() {
		err := undisturbed(func() error {
			return call(from, directionWrite, numberSend, unsafe.Sizeof(args), unsafe.Pointer(&args))
		})
		runtime.KeepAlive(args.cloneSources)
		in.Close()
		sent <- err
	}()
	// Closing the reading end is what makes the kernel give up.
	stop := context.AfterFunc(ctx, func() { out.Close() })
	takeErr := take(out)
	stop()
	out.Close()
	sendErr := <-sent
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(sendErr, unix.EINTR):
		return fmt.Errorf("%w: the kernel's send was interrupted", cluster.ErrUnavailable)
	case sendErr != nil && (takeErr == nil || !errors.Is(sendErr, unix.EPIPE)): // that means nothing but that nobody reads
		if errors.Is(sendErr, unix.ENAMETOOLONG) {
			sendErr = fmt.Errorf("%w: a path in it is too long: %w", cluster.ErrUnsupported, sendErr)
		}
		return fmt.Errorf("the kernel's send: %w", sendErr)
	default:
		return takeErr
	}
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
	err = send(ctx, c.snapshotPath(d.To), parent, flagNoData, what.read)
	return what.bytes + what.content, err
}

// undisturbed makes a call with all signals kept back. One that comes while the kernel waits for room
// in the pipe makes it begin the call anew, and so the stream, in the middle of it. The runtime of Go
// sends some all the time.
func undisturbed(call func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &before); err != nil {
		return err
	}
	err := call()
	return errors.Join(err, unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil))
}
