package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drover/drover/test/harness/debian"
)

// An Image is a Debian system with packages that the Docker engine of every host has from the
// beginning: to import it there would take long.
type Image struct {
	Name     string
	Packages []string
}

// systemPackages are those of a host, with the libraries that the programs of ZFS need.
var systemPackages = []string{"docker.io", "iptables", "iproute2", "kmod", "ca-certificates", "procps", "systemd",
	"libblkid1", "libssl3", "libtirpc3", "libudev1", "libuuid1", "zlib1g"}

// diskSize is that of a host's first disk. The file is sparse.
const diskSize = 8 << 30

// hostDisk returns the disk that all hosts start from, from the cache if it was made before. The
// caller holds the lock of the cache.
func hostDisk(ctx context.Context, cache string, k kernel, images []Image) (string, error) {
	system, err := debian.Root(ctx, systemPackages...)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Append(nil, system, k.tree, images))
	file := filepath.Join(cache, "disk-"+hex.EncodeToString(sum[:6])+".raw")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	return file, makeDisk(ctx, cache, file, system, k, images)
}

func makeDisk(ctx context.Context, cache, file, system string, k kernel, images []Image) (err error) {
	work, err := os.MkdirTemp(cache, "disk-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	root, disk, mounted := filepath.Join(work, "root"), filepath.Join(work, "disk"), filepath.Join(work, "mounted")
	if err := errors.Join(os.Mkdir(root, 0o755), os.Mkdir(mounted, 0o755)); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(disk, nil, 0o644), os.Truncate(disk, diskSize)); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"tar", "-C", root, "-xf", system},
		// The system has links to directories where a package has directories.
		{"sh", "-c", `tar -C "$1" --exclude=./boot -c . | tar -C "$2" -x --keep-directory-symlink`, "sh", k.tree, root},
		{"chroot", root, "depmod", k.release},
		{"mkfs.ext4", "-q", "-O", "^has_journal", "-d", root, disk},
		{"tune2fs", "-O", "has_journal", disk},
	} {
		if err := finish(exec.CommandContext(ctx, args[0], args[1:]...)); err != nil {
			return err
		}
	}
	if err := importImages(ctx, disk, mounted, images); err != nil {
		return err
	}
	return os.Rename(disk, file)
}

// importScript runs an engine, without a network, for as long as it takes to import images into a
// disk. It has mounts of its own: what it mounts is gone when it is.
const importScript = `set -e
disk=$1 mounted=$2 socket=unix://$3/docker.sock run=$3; shift 3
mount --make-rprivate /
mount -o loop "$disk" "$mounted"
mkdir -p "$mounted/var/lib/docker"
dockerd --data-root "$mounted/var/lib/docker" --exec-root "$run/exec" --pidfile "$run/pid" -H "$socket" \
  --bridge none --iptables=false --ip6tables=false --ip-forward=false --storage-driver overlay2 --log-level warn >"$run/log" 2>&1 &
engine=$!
trap 'kill $engine; wait $engine || :; umount "$mounted"' EXIT
until docker -H "$socket" version >/dev/null 2>&1; do
  kill -0 $engine 2>/dev/null || { cat "$run/log"; exit 1; }
  sleep 0.1
done
while [ $# -gt 0 ]; do docker -H "$socket" import "$2" "$1" >/dev/null; shift 2; done`

func importImages(ctx context.Context, disk, mounted string, images []Image) (err error) {
	if len(images) == 0 {
		return nil
	}
	// The sockets below it have names of limited length.
	run, err := os.MkdirTemp("", "drv-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(run)) }()
	args := []string{"--mount", "--net", "sh", "-c", importScript, "sh", disk, mounted, run}
	for _, image := range images {
		root, err := debian.Root(ctx, image.Packages...)
		if err != nil {
			return err
		}
		args = append(args, image.Name, root)
	}
	if err := finish(exec.CommandContext(ctx, "unshare", args...)); err != nil {
		return fmt.Errorf("import images %s: %w", strings.Join(names(images), ", "), err)
	}
	return nil
}

func names(images []Image) []string {
	var all []string
	for image := range slices.Values(images) {
		all = append(all, image.Name)
	}
	return all
}
