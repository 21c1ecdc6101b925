package process

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
)

const (
	outputFile = "output.log"
	// outputLimit is the size at which output is rotated, outputKept how many older files stay.
	outputLimit = 10 << 20
	outputKept  = 3
)

// rotate copies a long output file away and truncates it. The application keeps it open for
// appending and goes on at its start; what it writes between the copy and the truncation is
// lost, which is the price of not standing between it and its output.
func (i *instance) rotate() {
	path := filepath.Join(i.dir, outputFile)
	info, err := os.Stat(path)
	if err != nil || info.Size() < outputLimit {
		return
	}
	for n := outputKept - 1; n > 0; n-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", path, n), fmt.Sprintf("%s.%d", path, n+1)) // there may be none yet
	}
	err = copyFile(path+".1", path)
	if err == nil {
		err = os.Truncate(path, 0)
	}
	if err != nil {
		i.runtime.log.Warn("the output of an application was not rotated", "app", i.made.Spec.Application.Name, "error", err)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// Logs implements runtime.Runtime.
func (r *Runtime) Logs(ctx context.Context, name cluster.AppName, follow bool) (io.ReadCloser, error) {
	i, err := r.find(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(i.dir, outputFile), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if !follow {
		return f, nil
	}
	return &follower{ctx: ctx, File: f}, nil
}

// A follower reads a file that grows, until its context ends.
type follower struct {
	ctx context.Context
	*os.File
}

func (f *follower) Read(p []byte) (int, error) {
	for {
		n, err := f.File.Read(p)
		if n > 0 || err != io.EOF {
			return n, err
		}
		f.rewindIfRotated()
		select {
		case <-f.ctx.Done():
			return 0, io.EOF
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// rewindIfRotated goes back to the start of a file that has become shorter than what was read.
func (f *follower) rewindIfRotated() {
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return
	}
	if info, err := f.Stat(); err == nil && info.Size() < at {
		_, _ = f.Seek(0, io.SeekStart) // a file that could be read can be rewound
	}
}
