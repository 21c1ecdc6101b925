package copystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// TestUsageIsWhatTheDiskHolds: holes count for nothing, and a file once, however many names it has.
func TestUsageIsWhatTheDiskHolds(t *testing.T) {
	dir := t.TempDir()
	sparse := filepath.Join(dir, "sparse")
	must(t, os.WriteFile(sparse, make([]byte, 10<<20), 0o600))
	must(t, os.Truncate(sparse, 64<<30))
	for n := range 5 {
		must(t, os.Link(sparse, filepath.Join(dir, fmt.Sprint("name-", n))))
	}
	got, err := Allocated(t.Context(), dir)
	if err != nil || got < 10<<20 || got > 11<<20 {
		t.Errorf("it takes up %d bytes, %v; want 10 MiB", got, err)
	}
}

// TestShutEndsTheWalks, so that nothing looks at a disk that is to be unmounted.
func TestShutEndsTheWalks(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	begun := make(chan struct{})
	ended := false
	r.walks.start(func(ctx context.Context) {
		close(begun)
		<-ctx.Done()
		ended = true
	})
	<-begun
	must(t, r.Shut())
	if !ended || r.walks.start(func(context.Context) {}) {
		t.Errorf("a walk goes on, or begins")
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Allocated(canceled, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

// TestAWalkIsNoSteadyLoad: what takes long is not begun again at once, and where nobody needs it not at all.
func TestAWalkIsNoSteadyLoad(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	r.walks.turn <- struct{}{} // so that each waits, and ends with the store
	begins := func(age, took time.Duration) bool {
		u := Usage{walks: &r.walks, at: time.Now().Add(-age), took: took}
		u.Last()
		if u.asking {
			t.Error("a walk begins for nobody")
		}
		u.Get(t.TempDir(), true)
		return u.asking
	}
	if begins(10*time.Second, time.Second) {
		t.Error("a walk of a second begins again after ten")
	}
	if !begins(time.Minute, time.Second) || !begins(10*time.Second, 0) {
		t.Error("what is old is not found out anew")
	}
	must(t, r.Shut())
}

// BenchmarkOpen opens a store of 10,000 copies and lists it.
func BenchmarkOpen(b *testing.B) {
	path := b.TempDir()
	text := `{"role": "primary", "epoch": 7, "open": true, "snapshots": [{"name": "drover.1", "guid": "g1"}, {"name": "drover.2", "guid": "g2"}]}`
	for range 10000 {
		home := filepath.Join(path, cluster.NewUUID())
		if err := errors.Join(os.MkdirAll(filepath.Join(home, dataName), 0o711), os.WriteFile(filepath.Join(home, recordName), []byte(text), 0o600)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		begun, cpu := time.Now(), cpuSeconds()
		r, err := Open(path, Options{}, Kind{})
		if err != nil {
			b.Fatal(err)
		}
		opened, openedCPU := time.Now(), cpuSeconds()
		for range 2 {
			begun, cpu := time.Now(), cpuSeconds()
			for _, c := range r.All() {
				if s := c.State(); s.Warning != "" {
					b.Fatal(s.Warning)
				}
			}
			b.ReportMetric(time.Since(begun).Seconds(), "s/list")
			b.ReportMetric(cpuSeconds()-cpu, "cpu-s/list")
		}
		b.ReportMetric(opened.Sub(begun).Seconds(), "s/open")
		b.ReportMetric(openedCPU-cpu, "cpu-s/open")
		if err := r.Shut(); err != nil {
			b.Fatal(err)
		}
	}
}

// cpuSeconds is what this process has used of the processors, whoever else does.
func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// BenchmarkClose is what closing a copy costs clients that wait.
func BenchmarkClose(b *testing.B) {
	r, err := Open(filepath.Join(b.TempDir(), "volumes"), Options{}, Kind{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Shut()
	c, err := r.Add(cluster.VolumeID(cluster.NewUUID()), Record{Role: cluster.Primary, Epoch: 1}, makeData)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		if err := c.Opened(1); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := r.Close(c.ID); err != nil {
			b.Fatal(err)
		}
	}
}
