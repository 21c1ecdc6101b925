package proxy

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"golang.org/x/sys/unix"
)

// limitFiles makes the process unable to open a file, until the returned function is called.
func limitFiles(t *testing.T) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	probe, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	lowest := uint64(probe.Fd())
	probe.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: lowest, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	restored := false
	restore = func() {
		if !restored {
			restored = true
			unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
		}
	}
	t.Cleanup(restore)
	return restore
}

func TestAcceptOutOfDescriptors(t *testing.T) {
	r := newRig(t)
	r.forward(named(t, "a"))
	mustRead(t, r.dial(), "a") // all that is opened once is open now

	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patient / time.Second)})
	restore := limitFiles(t)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: r.port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lack of descriptors is logged", func() bool { return r.log.has("accept failed") })
	time.Sleep(3 * acceptPause) // it fails again, in silence
	restore()

	got := make([]byte, 1)
	if n, err := unix.Read(fd, got); n != 1 || err != nil || got[0] != 'a' {
		t.Errorf("the client read %q, %v; want it served once there are descriptors", got[:max(n, 0)], err)
	}
	if n := r.log.count("accept failed"); n != 1 {
		t.Errorf("the lack was logged %d times, want once", n)
	}
}

func TestListenerClosesWhileItRests(t *testing.T) {
	r := newRig(t)
	r.forward(named(t, "a"))
	mustRead(t, r.dial(), "a")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	limitFiles(t)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: r.port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lack of descriptors is logged", func() bool { return r.log.has("accept failed") })
	if err := r.proxy.Apply(nil); err != nil {
		t.Fatal(err)
	}
}

func TestListenOnAnAddressThatIsNotHere(t *testing.T) {
	r := newRig(t)
	r.proxy.Address = "192.0.2.1"
	route := forwardTo(here)
	route.External = r.port
	if err := r.proxy.Apply([]cluster.Route{route}); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("Apply: %v, want EADDRNOTAVAIL", err)
	}
}
