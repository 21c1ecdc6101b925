package vm

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed guest.sh
var guestInit []byte

// guestModules is what a guest for tests has beside what is built into the kernel.
var guestModules = []string{"virtio_pci", "virtio_console", "zfs", "loop", "xfs", "btrfs"}

// guestPrograms are those beside busybox: of ZFS, of OpenSSH, whose sftp tests speak to, of other file
// systems, which volumes move from and to, and rsync, which judges what arrives.
var guestPrograms = []string{"/sbin/zfs", "/sbin/zpool", "/usr/bin/ssh", "/usr/bin/sftp", "/usr/bin/ssh-keygen",
	"/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.xfs", "/usr/sbin/mkfs.btrfs", "/usr/bin/btrfs", "/usr/bin/rsync"}

// addGuest adds the file system that a guest starts with.
func addGuest(c *cpioWriter, k kernel, more []string) error {
	programs := slices.Concat(guestPrograms, more)
	c.device("/dev/console", 5, 1)
	c.file("/init", 0o755, guestInit)
	for _, dir := range []string{"/proc", "/sys", "/tmp", "/mnt", "/run", "/root", "/etc/zfs", "/var/empty"} {
		c.dir(dir)
	}
	c.file("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"))
	c.file("/etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	c.file("/etc/hosts", 0o644, []byte("127.0.0.1 localhost guest\n"))
	c.file("/etc/hostid", 0o644, []byte("drov"))
	if err := addModules(c, k, guestModules...); err != nil {
		return err
	}
	if err := addBusybox(c, programs...); err != nil {
		return err
	}
	return addPrograms(c, []string{k.tree, "/"}, programs...)
}

// addModules adds modules with all that they need, and the file /modules that lists them in order.
func addModules(c *cpioWriter, k kernel, names ...string) error {
	order, err := k.inOrder(names...)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, path := range order {
		name := "/lib/modules/" + filepath.Base(path)
		c.copy(name, path)
		fmt.Fprintln(&list, name)
	}
	c.file("/modules", 0o644, []byte(list.String()))
	return nil
}
