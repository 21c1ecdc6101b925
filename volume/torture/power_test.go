package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/powercut"
)

// A host that has lost its power is in another boot then, which is what tells what it finds on its disk from what
// it has seen. The file systems of these tests lose their power, and the machine does not; so these tests run in a
// mount namespace, where the file that names the boot is one of theirs.
const (
	ownHost = "DROVER_TORTURE_BOOT"
	bootID  = "/proc/sys/kernel/random/boot_id"
)

// onAHostOfItsOwn runs this program again where it can be in another boot; false if this is that, or nobody can cut any
// power here.
func onAHostOfItsOwn() (code int, done bool) {
	if os.Getuid() != 0 || os.Getenv(ownHost) != "" {
		return 0, false
	}
	boot, err := os.CreateTemp("", "drover-boot-")
	if err == nil {
		defer os.Remove(boot.Name())
		err = errors.Join(boot.Chmod(0o644), boot.Close()) // other users read it, too
	}
	if err == nil {
		runtime.LockOSThread() // the other program ends with this thread
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, append(os.Environ(), ownHost+"="+boot.Name())
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		err = cmd.Run()
	}
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), true
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

// nextBoot makes this another boot than before.
func nextBoot(t testing.TB) {
	t.Helper()
	boot := os.Getenv(ownHost)
	err := os.WriteFile(boot, []byte(cluster.NewUUID()+"\n"), 0o644)
	var here, there unix.Stat_t
	if err == nil {
		err = errors.Join(unix.Stat(bootID, &here), unix.Stat(boot, &there))
	}
	if err == nil && here.Dev != there.Dev { // for the first time
		err = unix.Mount(boot, bootID, "", unix.MS_BIND, "")
	}
	if err != nil {
		t.Fatalf("begin another boot: %v", err)
	}
}

// powered makes a file system whose power can be cut.
func powered(t testing.TB, kind string) *powercut.Disk {
	t.Helper()
	d := powercut.New(t, kind, diskBytes)
	passable(t, d.Path())
	return d
}

// cutting returns what cuts the power of a node.
func cutting(t testing.TB, d *powercut.Disk) func() {
	return func() {
		d.Cut()
		nextBoot(t)
	}
}

// TestAPowerCutIsOne: what is not on the disk is lost, and it is another boot.
func TestAPowerCutIsOne(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: only root can cut the power of a file system")
	}
	before, err := os.ReadFile(bootID)
	if err != nil {
		t.Fatal(err)
	}
	d := powered(t, "ext4")
	path := d.Path() + "/not-synced"
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	cutting(t, d)()
	after, err := os.ReadFile(bootID)
	if left, _ := os.ReadFile(path); err != nil || len(left) > 0 || string(before) == string(after) {
		t.Errorf("what is left is %q, in boot %s after %s, %v", left, after, before, err)
	}
}
