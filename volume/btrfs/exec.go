package btrfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

const program = "btrfs"

// available reports whether the program is installed.
func available() error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%w: the btrfs backend needs the program btrfs (Debian: btrfs-progs): %w", cluster.ErrUnsupported, err)
	}
	return nil
}

// run runs one command of btrfs-progs to its end. Its error has what the program said.
func run(ctx context.Context, stdin io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, io.Discard, &said
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	// Whatever feeds it must not keep us after it is gone.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s %s: %w", program, args[0], explain(said.String(), err))
}

// explain makes an error of what the program said, with its kind where that matters.
func explain(said string, err error) error {
	message := strings.TrimSpace(said)
	if lines := strings.Split(message, "\n"); len(lines) > 3 {
		message = strings.Join(lines[len(lines)-3:], "; ")
	}
	message = strings.ReplaceAll(message, "\n", "; ")
	switch {
	case strings.Contains(message, "No space left on device"):
		return fmt.Errorf("%s: %w", message, unix.ENOSPC)
	case strings.Contains(message, "Disk quota exceeded"):
		return fmt.Errorf("%s: %w", message, unix.EDQUOT)
	case strings.Contains(message, "cannot find parent subvolume"):
		return fmt.Errorf("%w: %s", cluster.ErrStale, message)
	case message == "":
		return err
	default:
		return fmt.Errorf("%s: %w", message, err)
	}
}

// receive applies a stream below dir, and can reach nothing outside it. It returns when the
// program has ended and stream has come to its own end.
func receive(ctx context.Context, dir string, stream io.Reader) error {
	out, w, err := widePipe()
	if err != nil {
		return err
	}
	in := &endReader{r: stream}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		// An error of the program's side is the program's to tell.
		_, _ = io.Copy(w, in)
		w.Close()
	}()
	err = run(ctx, out, "receive", "--chroot", dir)
	out.Close() // whatever is still being written is for nobody
	select {
	case <-fed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if in.err != nil && !errors.Is(in.err, io.EOF) {
		return in.err // a stream that was cut is why the program ended as it did
	}
	if err != nil {
		return err
	}
	// The program stops reading at the end mark; the transfer's own check comes behind it.
	_, err = io.Copy(io.Discard, in)
	return err
}

// endReader remembers how a stream ended.
type endReader struct {
	r   io.Reader
	err error
}

// WriteTo implements io.WriterTo, where the stream does: it has its data in larger pieces.
func (e *endReader) WriteTo(w io.Writer) (int64, error) {
	from, ok := e.r.(io.WriterTo)
	if !ok {
		return io.Copy(w, onlyReader{e})
	}
	watched := &failingWriter{w: w}
	n, err := from.WriteTo(watched)
	switch {
	case err == nil:
		e.err = io.EOF
	case watched.err == nil:
		e.err = err
	}
	return n, err
}

// A failingWriter remembers that it was the writer that failed.
type failingWriter struct {
	w   io.Writer
	err error
}

func (f *failingWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		f.err = err
	}
	return n, err
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil {
		e.err = err
	}
	return n, err
}

// limit sets how much a subvolume may hold; zero means no limit. It switches the quota of the
// whole file system on when it is first needed.
func (b *Backend) limit(ctx context.Context, subvolume string, bytes int64) error {
	value := "none"
	if bytes > 0 {
		value = strconv.FormatInt(bytes, 10)
	}
	err := run(ctx, nil, "qgroup", "limit", value, subvolume)
	if err == nil || bytes <= 0 {
		return nil // without quota there is no limit to lift
	}
	b.log.Info("switching on btrfs quotas, for the size limit of a volume", "path", b.path)
	if err := run(ctx, nil, "quota", "enable", b.path); err != nil {
		return err
	}
	return run(ctx, nil, "qgroup", "limit", value, subvolume)
}

// reclaim waits until the space of deleted subvolumes is free. The first command is what wakes the
// kernel's cleaner up; by itself it sleeps for half a minute.
func (b *Backend) reclaim(ctx context.Context) error {
	if err := run(ctx, nil, "filesystem", "sync", b.path); err != nil {
		return err
	}
	return run(ctx, nil, "subvolume", "sync", b.path)
}
