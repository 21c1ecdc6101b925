package executor_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/executor"
	"github.com/drover/drover/convergence/plan"
)

// A bench is an executor whose actions do as they are told.
type bench struct {
	*executor.Executor
	mu    sync.Mutex
	did   []string
	fails map[cluster.VolumeID]error
	// blocks are the volumes whose steps last until their context ends.
	blocks map[cluster.VolumeID]bool
	ended  atomic.Int32
}

func newBench() *bench {
	b := &bench{fails: map[cluster.VolumeID]error{}, blocks: map[cluster.VolumeID]bool{}}
	actions := map[plan.Kind]executor.Action{}
	for _, k := range []plan.Kind{plan.OpenVolume, plan.StartInstance, plan.Snapshot, plan.ResizeVolume, plan.HandOff} {
		actions[k] = b.do
	}
	b.Executor = &executor.Executor{Actions: actions, Log: slog.New(slog.DiscardHandler), Ended: func() { b.ended.Add(1) }}
	return b
}

func (b *bench) do(ctx context.Context, s plan.Step) error {
	b.mu.Lock()
	b.did = append(b.did, string(s.Kind)+" "+string(s.Volume))
	blocks, err := b.blocks[s.Volume], b.fails[s.Volume]
	b.mu.Unlock()
	if blocks {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return err
}

// pass does what a plan says, as an agent would.
func (b *bench) pass(ctx context.Context, lanes ...plan.Lane) time.Duration {
	b.Look()
	wait := b.Start(ctx, lanes, time.Now())
	synctest.Wait()
	return wait
}

func (b *bench) want(t *testing.T, why string, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.did, want) {
		t.Errorf("%s: did %v, want %v", why, b.did, want)
	}
	b.did = nil
}

func steps(kind plan.Kind, ids ...cluster.VolumeID) (out []plan.Step) {
	for _, id := range ids {
		out = append(out, plan.Step{Kind: kind, Volume: id})
	}
	return out
}

func TestALaneStopsAtWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.fails["bad"] = errors.New("no room")
		b.pass(t.Context(), plan.Lane{Key: "x", Steps: steps(plan.OpenVolume, "good", "bad", "late")})
		b.want(t, "one after another", "open volume good", "open volume bad")
		if f, ok := b.Failure("x"); !ok || f.Step.Volume != "bad" || len(b.Failures()) != 1 {
			t.Errorf("the failure is %+v, %t", f, ok)
		}
		b.pass(t.Context(), plan.Lane{Key: "y", Apart: true, Steps: steps(plan.Snapshot, "good", "bad", "late")})
		b.want(t, "apart", "snapshot volume good", "snapshot volume bad", "snapshot volume late")
		if f, ok := b.Failure("y"); !ok || f.Step.Volume != "bad" {
			t.Errorf("the failure is %+v, %t", f, ok)
		}
	})
}

// TestWhatFailedWaits longer each time, unless it is another plan now; what is no longer planned is forgotten.
func TestWhatFailedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.fails["bad"] = errors.New("no room")
		lane := plan.Lane{Key: "x", Steps: steps(plan.OpenVolume, "bad")}
		var waits []time.Duration
		for range 12 {
			b.pass(t.Context(), lane)
			b.want(t, "it is due", "open volume bad")
			wait := b.pass(t.Context(), lane)
			b.want(t, "it waits")
			waits = append(waits, wait)
			time.Sleep(wait)
		}
		if waits[0] != 200*time.Millisecond || waits[1] != 400*time.Millisecond || waits[11] != 30*time.Second {
			t.Errorf("it waited for %v", waits)
		}
		b.pass(t.Context(), plan.Lane{Key: "x", Steps: steps(plan.ResizeVolume, "bad")})
		b.want(t, "another plan", "resize volume bad")
		b.pass(t.Context())
		if len(b.Failures()) != 0 {
			t.Errorf("still failed: %v", b.Failures())
		}
	})
}

// TestALaneIsLeftAlone while it is busy, while one is that it comes after, and if what was seen of it may be out of
// date.
func TestALaneIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.blocks["long"] = true
		long := plan.Lane{Key: "x", Steps: steps(plan.HandOff, "long")}
		after := plan.Lane{Key: "y", After: []string{"x"}, Steps: steps(plan.OpenVolume, "v")}
		b.pass(t.Context(), long, after)
		b.want(t, "y comes after x", "hand off long")
		b.pass(t.Context(), long, after)
		b.want(t, "x is busy")
		if running := b.Running(); len(running) != 1 || running[0].Kind != plan.HandOff {
			t.Errorf("running: %v", running)
		}
		if busy := b.Look(); !busy["x"] || busy["y"] {
			t.Errorf("busy: %v", busy)
		}
		b.Cancel(func(s plan.Step) error { return errors.New("not wanted any more") })
		b.Wait()
		b.Start(t.Context(), []plan.Lane{long, after}, time.Now())
		synctest.Wait()
		b.want(t, "both were looked at while x was busy")
		if len(b.Failures()) != 0 {
			t.Errorf("what is broken off has not failed: %v", b.Failures())
		}
		b.pass(t.Context(), after)
		b.want(t, "x is idle", "open volume v")
		if b.ended.Load() != 2 {
			t.Errorf("%d ends were told, want 2", b.ended.Load())
		}
	})
}

// TestALaneThatIsHeld begins nothing until it is released, and what has been seen of it meanwhile does not count.
func TestALaneThatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.blocks["long"] = true
		b.pass(t.Context(), plan.Lane{Key: "x", Steps: steps(plan.StartInstance, "long")})
		b.want(t, "it is busy", "start application long")
		b.Look() // of a pass that goes on while the lane is held and released
		release, err := b.Hold(t.Context(), "x", errors.New("it leaves"))
		if err != nil || len(b.Running()) != 0 {
			t.Fatalf("%v; running %v", err, b.Running())
		}
		b.Cancel(func(plan.Step) error { return errors.New("of no concern") })
		other := plan.Lane{Key: "x", Steps: steps(plan.StartInstance, "v")}
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Hold(soon, "x", nil); err == nil {
			t.Error("it was held twice")
		}
		release()
		release()
		b.Start(t.Context(), []plan.Lane{other}, time.Now())
		synctest.Wait()
		b.want(t, "what was seen is out of date")
		b.pass(t.Context(), other)
		b.want(t, "it is free", "start application v")
		b.Wait()
	})
}
