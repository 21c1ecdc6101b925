// Package vm_test moves PostgreSQL between virtual hosts that have real OpenZFS and Docker, takes their
// cables out and their power away. In emulation everything is slow: little data, few clients.
package vm_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/test/harness/testcluster"
	"github.com/drover/drover/test/harness/vm"
)

func TestMain(m *testing.M) {
	if err := vm.Available(); err != nil {
		fmt.Printf("CANNOT RUN: virtual hosts: %v\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestHosts: cables and power do what they say, and what is on the disks stays.
func TestHosts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	n, err := vm.New(ctx, t.TempDir(), 2, testcluster.Databases)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	a, b := n.Hosts[0], n.Hosts[1]
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	reaches := func(when string, want bool) {
		t.Helper()
		err := a.Command("timeout", "2", "bash", "-c", "echo > /dev/tcp/"+b.Address+"/7").Run()
		if got := err == nil; got != want {
			t.Errorf("%s: a reaches b: %t, want %t", when, got, want)
		}
	}
	listener := b.Command("/run/on", "-serve", b.Address+":7")
	must(listener.Start())
	defer func() { _ = listener.Process.Kill(); _ = listener.Wait() }()
	time.Sleep(time.Second) // until it listens
	reaches("at first", true)
	must(n.Cut(a, b))
	reaches("cut", false)
	must(n.Heal(a, b))
	reaches("healed", true)
	must(n.Unplug(b))
	reaches("unplugged", false)
	must(n.Plug(b))
	reaches("plugged in", true)

	fails := a.Command("sh", "-c", "exit 3")
	if _ = fails.Run(); fails.ProcessState.ExitCode() != 3 {
		t.Errorf("the exit status is %d", fails.ProcessState.ExitCode())
	}
	must(b.Command("sh", "-c", "zfs create tank/kept && echo kept > /tank/kept/file && echo kept > /root/file && sync").Run())
	must(b.PowerOff())
	must(b.PowerOn(ctx))
	out, err := b.Command("cat", "/tank/kept/file", "/root/file").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "kept\nkept" {
		t.Errorf("after a loss of power: %q, %v", out, err)
	}
}
