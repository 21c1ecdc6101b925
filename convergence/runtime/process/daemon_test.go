package process

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/convergence/runtime/runtimetest"
)

// daemon starts an application that leaves a process behind, and waits until it has.
func daemon(t *testing.T) *Runtime {
	t.Helper()
	r := open(t, t.TempDir())
	s := spec(runtimetest.ModeLeave)
	s.Application.Stop.Timeout = 5 * time.Second
	if err := errors.Join(r.Create(t.Context(), s), r.Start(t.Context(), "app")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Kill(context.Background(), "app") })
	i, _ := r.find("app")
	i.mu.Lock()
	first := i.record.Process
	i.mu.Unlock()
	for end := time.Now().Add(10 * time.Second); first.alive(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not leave")
		}
	}
	return r
}

// TestADaemonCostsNothing: what has left its leader is waited for, not looked for all the time.
func TestADaemonCostsNothing(t *testing.T) {
	r := daemon(t)
	const while = 2 * time.Second
	before := used(t)
	time.Sleep(while)
	if cpu := used(t) - before; cpu > while/10 {
		t.Errorf("%s of CPU time within %s", cpu, while)
	}
	if all, err := r.Instances(t.Context()); err != nil || len(all) != 1 || !all[0].Running {
		t.Errorf("it does not run: %+v, %v", all, err)
	}
}

// used is the CPU time of this process.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestADaemonIsStopped by the signal that its leader would have got.
func TestADaemonIsStopped(t *testing.T) {
	r := daemon(t)
	if err := r.Stop(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if all, err := r.Instances(t.Context()); err != nil || len(all) != 1 || all[0].Running || !all[0].Asked {
		t.Errorf("after the stop: %+v, %v", all, err)
	}
}
