// Package debian makes things of Debian packages for tests, from the mirror that this machine's own
// apt uses, and keeps them below the user's cache directory.
//
//	root, err := debian.Root(ctx, "postgresql-15") // a whole system, as a tar file
//	apt, err := debian.NewApt(ctx, dir)            // an apt of our own
//	err = apt.Unpack(ctx, "zfs-dkms", tree)
//
//	this machine's apt: mirror, release, keys
//	     |                        |
//	debootstrap -> Root      Apt: main and contrib, its own lists
//	     |                        |
//	~/.cache/drover/...      dpkg -x: nothing is installed here
//
// Signatures are checked as this machine's apt and debootstrap check them. Nothing here changes how
// this machine is set up.
package debian

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A source is one release on one mirror, as apt knows it.
type source struct{ site, release string }

// Mirror returns the Debian mirror of this machine's apt, and the release that it runs.
func Mirror(ctx context.Context) (url, suite string, err error) {
	sources, suite, err := sources(ctx)
	if err != nil {
		return "", "", err
	}
	for _, s := range sources {
		if s.release == suite {
			return s.site, suite, nil
		}
	}
	return "", "", fmt.Errorf("apt knows no mirror of %q", suite)
}

// sources returns what this machine's apt has of the release that it runs: itself, its updates and
// its security updates.
func sources(ctx context.Context) (found []source, suite string, err error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages").Output()
	if err != nil {
		return nil, "", fmt.Errorf("ask apt for its mirrors: %w", err)
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, "", err
	}
	for line := range strings.Lines(string(release)) {
		if name, ok := strings.CutPrefix(line, "VERSION_CODENAME="); ok {
			suite = strings.TrimSpace(name)
		}
	}
	if suite == "" {
		return nil, "", fmt.Errorf("/etc/os-release names no release")
	}
	for line := range strings.Lines(string(out)) {
		site, codename, _ := strings.Cut(strings.TrimSpace(line), " ")
		if codename == suite || codename == suite+"-security" || codename == suite+"-updates" {
			found = append(found, source{site, codename})
		}
	}
	return found, suite, nil
}

// Lock returns a directory of the cache for the caller alone, until it unlocks it or ends.
func Lock(name string) (dir string, unlock func(), err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(cache, "drover", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		lock.Close()
		return "", nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return dir, func() { lock.Close() }, nil
}

// run runs a command to its end; what it said is in the error.
func run(cmd *exec.Cmd) error {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}
