// Package loopfs makes file systems in files, for tests and for clusters to play with.
//
//	fs, err := loopfs.Make(dir, "xfs", 1<<30)
//	defer fs.Remove()
//	use(fs.Path)
//
// It needs root.
package loopfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A FS is a mounted file system. Use Make.
type FS struct {
	// Path is where it is mounted.
	Path string
	// Image is the file that it is in.
	Image string

	kind, options string
}

// formats says how to make each kind of file system.
var formats = map[string][]string{
	"btrfs": {"mkfs.btrfs", "--quiet", "--metadata", "single"},
	"ext4":  {"mkfs.ext4", "-q", "-F"},
	"xfs":   {"mkfs.xfs", "-q", "-f"},
}

// Available says what is missing to make one, or nil.
func Available() error {
	if os.Getuid() != 0 {
		return errors.New("only root can mount")
	}
	for _, program := range []string{"mkfs.btrfs", "btrfs", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	return nil
}

// Btrfs makes a btrfs file system of that size below dir, with names that belong to dir alone. The
// caller ends with Remove.
func Btrfs(dir string, bytes int64) (*FS, error) { return Make(dir, "btrfs", bytes) }

// Make makes a file system (btrfs, ext4 or xfs) of that size below dir, with names that belong to
// dir alone, and mounts it with the options. The image is sparse: it takes up what is written. The
// caller ends with Remove.
func Make(dir, kind string, bytes int64, options ...string) (*FS, error) {
	format, known := formats[kind]
	if !known {
		return nil, fmt.Errorf("make a file system: %q is none of btrfs, ext4 and xfs", kind)
	}
	fs := &FS{Path: filepath.Join(dir, kind), Image: filepath.Join(dir, kind+".img"), kind: kind}
	fs.options = strings.Join(append([]string{"loop", "noatime"}, options...), ",")
	if err := os.MkdirAll(fs.Path, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(fs.Image)
	if err != nil {
		return nil, err
	}
	err = errors.Join(f.Truncate(bytes), f.Close())
	if err == nil {
		err = run(format[0], append(format[1:len(format):len(format)], fs.Image)...)
	}
	if err == nil {
		err = fs.Mount()
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(fs.Image))
	}
	return fs, nil
}

// Mount mounts it again after Unmount. The program mount makes the loop device, and unmounting takes
// it away again.
func (fs *FS) Mount() error {
	return run("mount", "-t", fs.kind, "-o", fs.options, fs.Image, fs.Path)
}

// Unmount unmounts it, which fails while somebody uses it.
func (fs *FS) Unmount() error {
	if err := unix.Unmount(fs.Path, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", fs.Path, err)
	}
	return nil
}

// Remove unmounts the file system and deletes it with everything in it.
func (fs *FS) Remove() error {
	// Detached at once; the kernel lets go of it when the last user does.
	if err := unix.Unmount(fs.Path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", fs.Path, err)
	}
	return errors.Join(os.Remove(fs.Image), os.Remove(fs.Path))
}

func run(name string, args ...string) error {
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(said.String()))
	}
	return nil
}
