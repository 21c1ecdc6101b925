package convergence

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
)

// slowEngine takes its time once it is told to.
type slowEngine struct {
	aloneHost
	slow *atomic.Bool
}

func (e slowEngine) Instances(context.Context) ([]cluster.Instance, error) {
	if e.slow.Load() {
		time.Sleep(25 * time.Second)
	}
	return nil, nil
}

// TestABusyHostIsHeardAfterACut: one poll that is cut takes no heartbeat away, however long the next look at everything takes.
func TestABusyHostIsHeardAfterACut(t *testing.T) {
	a, _ := newVolumeAgent(t)
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		s := &service{assignments: make(chan cluster.Assignment, 1)}
		s.assignments <- cluster.Assignment{Revision: 1, Node: "a"}
		a.Control, a.Runtime = s, slowEngine{slow: &slow}
		a.report, a.wake, a.keep = make(signal, 1), make(signal, 1), make(signal, 1)
		ctx, stop := context.WithCancel(t.Context())
		for _, run := range []func(context.Context) error{a.watch, a.reportChanges, a.beat} {
			go func() { _ = run(ctx) }()
		}
		time.Sleep(30 * time.Second)
		slow.Store(true)
		s.away.Store(true)
		time.Sleep(5100 * time.Millisecond)
		s.away.Store(false)
		_, before := s.heard()
		time.Sleep(20 * time.Second)
		if _, after := s.heard(); len(after)-len(before) < 3 {
			t.Errorf("in the 20 s after a cut it sends %d heartbeats, want one every 5 s", len(after)-len(before))
		}
		stop()
		time.Sleep(time.Minute)
	})
}
