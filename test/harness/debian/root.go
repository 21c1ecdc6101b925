package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// spare is what the programs of a root do without, as patterns below it.
var spare = []string{"usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "var/lib/apt/lists/*",
	"var/cache/apt/*", "var/cache/debconf/*", "usr/lib/*/libLLVM*", "usr/lib/postgresql/*/lib/llvmjit*", "usr/lib/postgresql/*/lib/bitcode"}

// Root makes a Debian system with packages and returns it as a tar file. The file is kept from one
// call to the next, also of other processes.
func Root(ctx context.Context, packages ...string) (string, error) {
	dir, unlock, err := Lock("roots")
	if err != nil {
		return "", err
	}
	defer unlock()
	sum := sha256.Sum256([]byte(strings.Join(append(packages, spare...), " ")))
	file := filepath.Join(dir, "debian-"+hex.EncodeToString(sum[:6])+".tar")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	return file, makeRoot(ctx, dir, file, packages)
}

func makeRoot(ctx context.Context, dir, file string, packages []string) (err error) {
	mirror, suite, err := Mirror(ctx)
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp(dir, "root-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	// It becomes the root of containers, whose users pass through it.
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	if err := run(exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "--include="+strings.Join(packages, ","), suite, root, mirror)); err != nil {
		return err
	}
	for _, pattern := range spare {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	if err := run(exec.CommandContext(ctx, "tar", "--directory", root, "--numeric-owner", "--create", "--file", file+".new", ".")); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
