// Package loopfs makes file systems in files, for tests and for clusters to play with.
//
//	fs, err := loopfs.Btrfs(dir, 1<<30)
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

// A FS is a mounted file system. Use Btrfs.
type FS struct {
	// Path is where it is mounted.
	Path  string
	image string
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
// image is sparse: it takes up what is written. The caller ends with Remove.
func Btrfs(dir string, bytes int64) (*FS, error) {
	fs := &FS{Path: filepath.Join(dir, "btrfs"), image: filepath.Join(dir, "btrfs.img")}
	if err := os.MkdirAll(fs.Path, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(fs.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(bytes), f.Close()); err != nil {
		return nil, err
	}
	if err := run("mkfs.btrfs", "--quiet", "--metadata", "single", fs.image); err != nil {
		return nil, errors.Join(err, os.Remove(fs.image))
	}
	// mount makes the loop device, and umount takes it away again.
	if err := run("mount", "-t", "btrfs", "-o", "loop,noatime", fs.image, fs.Path); err != nil {
		return nil, errors.Join(err, os.Remove(fs.image))
	}
	return fs, nil
}

// Remove unmounts the file system and deletes it with everything in it.
func (fs *FS) Remove() error {
	// Detached at once; the kernel lets go of it when the last user does.
	if err := unix.Unmount(fs.Path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", fs.Path, err)
	}
	return errors.Join(os.Remove(fs.image), os.Remove(fs.Path))
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
