package btrfs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

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
func run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.Env = append(os.Environ(), "LC_ALL=C")
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
	case message == "":
		return err
	default:
		return fmt.Errorf("%s: %w", message, err)
	}
}

// limit sets how much a subvolume may hold; zero means no limit. It switches the quota of the
// whole file system on when it is first needed.
func (b *Backend) limit(ctx context.Context, subvolume string, bytes int64) error {
	value := "none"
	if bytes > 0 {
		value = strconv.FormatInt(bytes, 10)
	}
	err := run(ctx, "qgroup", "limit", value, subvolume)
	if err == nil || bytes <= 0 {
		return nil // without quota there is no limit to lift
	}
	b.log.Info("switching on btrfs quotas, for the size limit of a volume", "path", b.path)
	if err := run(ctx, "quota", "enable", b.path); err != nil {
		return err
	}
	return run(ctx, "qgroup", "limit", value, subvolume)
}

// reclaim waits until the space of deleted subvolumes is free. The first command is what wakes the
// kernel's cleaner up; by itself it sleeps for half a minute.
func (b *Backend) reclaim(ctx context.Context) error {
	if err := run(ctx, "filesystem", "sync", b.path); err != nil {
		return err
	}
	return run(ctx, "subvolume", "sync", b.path)
}
