package hosts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// spare is what the programs of a root do without, as patterns below it.
var spare = []string{"usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "var/lib/apt/lists/*",
	"var/cache/apt/*", "var/cache/debconf/*", "usr/lib/*/libLLVM*", "usr/lib/postgresql/*/lib/llvmjit*", "usr/lib/postgresql/*/lib/bitcode"}

// DebianRoot makes a Debian system with packages, from the mirror that this machine's own apt uses,
// and returns it as a tar file. The file is kept from one call to the next, also of other
// processes, below the user's cache directory.
func DebianRoot(ctx context.Context, packages ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "drover")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(append(packages, spare...), " ")))
	file := filepath.Join(dir, "debian-"+hex.EncodeToString(sum[:6])+".tar")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	return file, makeRoot(ctx, dir, file, packages)
}

func makeRoot(ctx context.Context, dir, file string, packages []string) (err error) {
	mirror, suite, err := mirror(ctx)
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
	if err := finish(exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "--include="+strings.Join(packages, ","), suite, root, mirror)); err != nil {
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
	if err := finish(exec.CommandContext(ctx, "tar", "--directory", root, "--numeric-owner", "--create", "--file", file+".new", ".")); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// mirror returns the Debian mirror of this machine's apt, and the release that it runs.
func mirror(ctx context.Context) (url, suite string, err error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask apt for its mirrors: %w", err)
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(release)) {
		if name, ok := strings.CutPrefix(line, "VERSION_CODENAME="); ok {
			suite = strings.TrimSpace(name)
		}
	}
	for line := range strings.Lines(string(out)) {
		site, codename, _ := strings.Cut(strings.TrimSpace(line), " ")
		if codename == suite && suite != "" {
			return site, suite, nil
		}
	}
	return "", "", fmt.Errorf("apt knows no mirror of %q", suite)
}

// ImportTar makes an image of a tar file of a root.
func (h *Host) ImportTar(image, file string) error {
	return finish(h.Docker("import", file, image))
}
