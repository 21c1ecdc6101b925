package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/runtime/runtimetest"
	"github.com/drover/drover/test/harness/powercut"
)

// TestOnAFullDisk an application is started for the first time and again, and how it ended is kept: all that
// this takes was there before.
func TestOnAFullDisk(t *testing.T) {
	disk := powercut.New(t, "ext4", 128<<20)
	r := open(t, filepath.Join(disk.Path(), "runtime"))
	s := spec(runtimetest.ModeFail)
	s.Application.Ports = []cluster.Port{{Internal: 80}}
	if err := r.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var last runtime.Instance
	for n := range 3 {
		powercut.Fill(t, disk.Path())
		if err := r.Start(t.Context(), "app"); err != nil {
			t.Fatalf("start %d: %v", n, err)
		}
		powercut.Fill(t, disk.Path())
		last = hasEnded(t, r)
	}
	powercut.Fill(t, disk.Path())
	i, _ := r.find("app")
	i.mu.Lock()
	i.made.Ports[80] = 1 // as if somebody listened there: another port, another spec
	i.mu.Unlock()
	if err := r.Start(t.Context(), "app"); err != nil {
		t.Fatalf("with another port: %v", err)
	}
	last = hasEnded(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(r.dir); len(entries) != 1 {
		t.Errorf("there are %v", entries)
	}
	again := open(t, r.dir)
	if i := hasEnded(t, again); i.ExitStatus != last.ExitStatus || !i.Ended.Equal(last.Ended) || i.Endpoints[80] != last.Endpoints[80] {
		t.Errorf("after a restart of the agent it is %+v; it was %+v", i, last)
	}
	again.Close()
}

// hasEnded waits until the one application has ended.
func hasEnded(t *testing.T, r *Runtime) runtime.Instance {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		all, err := r.Instances(t.Context())
		if err != nil || len(all) != 1 || time.Now().After(end) {
			t.Fatalf("it has not ended: %+v, %v", all, err)
		}
		if !all[0].Running && !all[0].Ended.IsZero() {
			return all[0]
		}
	}
}
