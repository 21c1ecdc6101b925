// Package powercut cuts the power of real file systems, in tests: what was not yet on the disk is
// lost, as it would be.
//
//	powercut.Run(t, "xfs", func(dir string) {
//		err = durable.WriteFile(filepath.Join(dir, "record"), data, 0o600)
//	}, func(dir string) {
//		// the file system after the cut and its own recovery
//	})
//
// Each file system is on a loop device. The ends of ext4 and XFS come by their own shutdown call,
// which throws away also what is in the journal and not flushed; ext4 is mounted without the crutch
// that it has for programs that do not sync (auto_da_alloc), as other file systems have none. btrfs
// has no such call: its image is copied at the moment of the cut, and the copy takes its place. It
// is never written over, so that what the copy holds is what a disk would.
//
// It needs root. Only tests may import it.
package powercut

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/test/harness/loopfs"
)

// Kinds are the file systems that can be cut.
var Kinds = []string{"ext4", "xfs", "btrfs"}

// Each runs a test on every kind of file system.
func Each(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range Kinds {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

// Run calls before with an empty file system of that kind, cuts its power, and calls check with what
// is left. Both get the same path. What before has open must be closed when it returns: it is what a
// process has that dies with the host.
func Run(t *testing.T, kind string, before, check func(dir string)) {
	t.Helper()
	d := New(t, kind, 512<<20)
	before(d.Path())
	d.Cut()
	check(d.Path())
}

// A Disk is a file system whose power can be cut, again and again. Use New.
type Disk struct {
	t    testing.TB
	kind string
	fs   *loopfs.FS
}

// New makes a file system of that kind and size, which lives as long as the test.
func New(t testing.TB, kind string, bytes int64) *Disk {
	t.Helper()
	if err := loopfs.Available(); err != nil {
		t.Skipf("CANNOT RUN: %s on a loop device: %v", kind, err)
	}
	if _, err := exec.LookPath("mkfs." + kind); err != nil {
		t.Skipf("CANNOT RUN: %v", err)
	}
	var options []string
	if kind == "ext4" {
		options = []string{"noauto_da_alloc"}
	}
	fs, err := loopfs.Make(t.TempDir(), kind, bytes, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fs.Remove(); err != nil {
			t.Error(err)
		}
	})
	d := &Disk{t: t, kind: kind, fs: fs}
	// What mkfs and the first mount have to write is no part of the test.
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	return d
}

// Path is where it is mounted, before and after a cut.
func (d *Disk) Path() string { return d.fs.Path }

// Cut cuts the power and starts the file system again.
func (d *Disk) Cut() {
	d.t.Helper()
	end := d.shutdown
	if d.kind == "btrfs" {
		end = d.replace
	}
	if err := errors.Join(end(), d.fs.Mount()); err != nil {
		d.t.Fatalf("cut the power of %s: %v", d.kind, err)
	}
}

// shutdown ends the file system without another byte written.
func (d *Disk) shutdown() error {
	const (
		request    = 0x8004587d // FS_IOC_SHUTDOWN, also XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN
		noLogFlush = 2
	)
	root, err := os.Open(d.fs.Path)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(root.Fd()), request, noLogFlush)
	if err := errors.Join(err, root.Close()); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return d.unmount()
}

// replace puts a copy of the image, as it is now, in its place.
func (d *Disk) replace() error {
	was := d.fs.Image + ".cut"
	said, err := exec.Command("cp", "--sparse=always", d.fs.Image, was).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy the image: %w: %s", err, said)
	}
	return errors.Join(d.unmount(), os.Rename(was, d.fs.Image))
}

// unmount waits for what the kernel itself still does with the file system.
func (d *Disk) unmount() error {
	var err error
	for range 100 {
		if err = d.fs.Unmount(); !errors.Is(err, unix.EBUSY) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// Sync writes out everything: what came before is not lost by the next cut.
func (d *Disk) Sync() error {
	root, err := os.Open(d.fs.Path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(root.Fd())), root.Close())
}
