// Package vm makes virtual hosts with real OpenZFS, for tests and for people to play with. The
// kernel is Debian's, the hardware is emulated by QEMU: nothing is asked of this machine's kernel.
//
//	status, err := vm.Program{Path: "zfs.test", Args: []string{"-test.v"}, Stdout: os.Stdout}.Run(ctx)
//
//	Debian: linux-image, zfs-dkms, zfsutils-linux      built once, kept in the cache
//	     |
//	  kernel + modules + programs
//	     |
//	  guest: busybox and one program, all in memory
package vm

// qemu is the emulator.
const qemu = "qemu-system-x86_64"

// cpu is the processor that is emulated: what programs need at least, and random numbers, without
// which they wait for the kernel to have collected some.
const cpu = "qemu64,+rdrand"
