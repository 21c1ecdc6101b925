package zfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	gozfs "github.com/mistifyio/go-zfs/v4"

	"github.com/drover/drover/cluster"
)

// patience bounds commands that should take a moment. Streams have no bound but their context.
const patience = time.Minute

// available reports whether ZFS's programs are installed.
func available() error {
	for _, program := range []string{"zfs", "zpool"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: the zfs backend needs the program %s (Debian: zfsutils-linux): %w", cluster.ErrUnsupported, program, err)
		}
	}
	return nil
}

// run runs zfs or zpool to its end and returns what it printed. It is how everything is done that
// go-zfs cannot: several properties at once, holds, bookmarks, contexts.
func run(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	var out bytes.Buffer
	if err := stream(ctx, nil, &out, program, args...); err != nil {
		return "", err
	}
	return out.String(), nil
}

// errSilent: a command did not end in a time in which it always should.
var errSilent = fmt.Errorf("%w: ZFS did not answer within %s", cluster.ErrUnavailable, patience)

// zfs runs a command of zfs whose output does not matter.
func zfs(ctx context.Context, args ...string) error {
	_, err := run(ctx, "zfs", args...)
	return err
}

// stream runs zfs or zpool with data going in or out, for as long as it takes.
func stream(ctx context.Context, in *os.File, out io.Writer, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &said
	if in != nil {
		cmd.Stdin = in
	}
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	return within(ctx, func() error {
		err := cmd.Run()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		return explain(program+" "+args[0], said.String(), err)
	})
}

// library runs a call of go-zfs, which knows no contexts.
func library(ctx context.Context, call func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	err := within(ctx, call)
	var failed *gozfs.Error
	if errors.As(err, &failed) {
		return explain(failed.Debug, failed.Stderr, failed.Err)
	}
	return err
}

// within returns when do has returned, or soon after ctx has ended. A program that waits in the
// kernel for a pool that is suspended cannot be ended: it is left to end when the pool does.
func within(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(2 * time.Second):
		return context.Cause(ctx)
	}
}
