// Package vm makes virtual hosts with real OpenZFS and Docker engines, for tests and for people to
// play with. The kernel is Debian's, the hardware is emulated by QEMU: nothing is asked of this
// machine's kernel but a bridge.
//
//	n, err := vm.New(ctx, dir, 3)
//	defer n.Close()
//	host := n.Hosts[0]
//	out, err := host.Command("zpool", "status", "tank").Output()
//	err = host.PowerOff()
//
//	status, err := vm.Program{Path: "zfs.test", Stdout: os.Stdout}.Run(ctx)
//
//	Debian: linux-image, zfs-dkms, zfsutils-linux, docker.io    built once, kept in the cache
//	     |                                |
//	guest: busybox, ZFS, one program   hosts: a whole system, a pool "tank", dockerd
//	all in memory, no network             |10.x.y.2     |10.x.y.3     |10.x.y.4
//	                                   ---+-- bridge, --+-- 10.x.y.1 -+---
//
// A host boots with systemd, as users' hosts do: what is mounted is shared with the services that have
// mounts of their own, and one of them runs. Commands reach a host through a link of its own, so that a host that is unplugged still takes them.
// New is the sibling of hosts.New, whose hosts cost less and have the kernel of this machine.
package vm

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
)

// qemu is the emulator.
const qemu = "qemu-system-x86_64"

// cpu is the processor that is emulated: what programs need at least, and random numbers, without
// which they wait for the kernel to have collected some.
const cpu = "qemu64,+rdrand"

// programs are those that virtual hosts are made with, and the Debian packages that have them.
var programs = map[string]string{qemu: "qemu-system-x86", "qemu-img": "qemu-utils", "busybox": "busybox-static", "ip": "iproute2",
	"iptables": "iptables", "tc": "iproute2", "debootstrap": "debootstrap", "dockerd": "docker.io", "mkfs.ext4": "e2fsprogs",
	"make": "make", "strip": "binutils", "ssh": "openssh-client", "sftp": "openssh-client"}

// Available says what is missing to make virtual hosts, or nil.
func Available() error {
	if os.Getuid() != 0 {
		return errors.New("only root can make them")
	}
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("they are made for amd64, and this machine is %s", runtime.GOARCH)
	}
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		return fmt.Errorf("they are made of Debian's packages as this machine's apt gets them: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w (Debian: %s)", err, programs[name])
		}
	}
	return nil
}

// kernelWords are what every kernel is told: where to write, to end the emulator when it can't go on,
// to leave out what protects against flaws that an emulated processor does not have, and what makes
// emulation slow. Programs are at the same addresses each time, so that the emulator keeps what it
// translated: a command of zfs takes half as long. The time is read from the processor, which a late
// timer makes the kernel distrust: from the emulated HPET it takes ten times as long, and every Go
// program asks for it all the time.
const kernelWords = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr norandmaps no_timer_check tsc=reliable clocksource=tsc"
