package view

import (
	"cmp"
	"time"

	"github.com/drover/drover/control/wire"
)

// Timing is how long the service waits for what. A zero field means the default that it names.
type Timing struct {
	// Tick is how often deadlines, back-offs and leases are looked at: 500 ms.
	Tick time.Duration
	// Liveness is how long after its last word a node is in touch: wire.LivenessWindow.
	Liveness time.Duration
	// Away is how much longer a source may be out of touch before its attempt is failed: 20 s.
	Away time.Duration
	// Gone is how long after its last word nobody waits for a node any more: 60 s. Nothing but what is said
	// of it depends on that.
	Gone time.Duration
	// Prepare bounds the prepare phase: 30 s.
	Prepare time.Duration
	// Precopy bounds the time without a progress report in the precopy phase: 60 s.
	Precopy time.Duration
	// CutOver bounds the hold and final phases together: 45 s. It is longer than proxies hold,
	// so that a source that is in touch rolls back by itself first.
	CutOver time.Duration
	// Promote is when a promotion that is not done says what is missing: 60 s. There is no way
	// back from it, so it is not a bound.
	Promote time.Duration
	// Hold bounds the wait for the proxies to confirm that they hold: 1 s.
	Hold time.Duration
	// Logs is how long a node may take to take up a request for logs: wire.LogPatience.
	Logs time.Duration
	// Backoff holds the waits before the second attempt of a move, the third, and so on; the
	// last one is used again: 1, 2, 4, 8, 15, 30 and 60 s.
	Backoff []time.Duration
}

// OrDefaults returns the timing with every field set.
func (t Timing) OrDefaults() Timing {
	t.Tick = cmp.Or(t.Tick, 500*time.Millisecond)
	t.Liveness = cmp.Or(t.Liveness, wire.LivenessWindow)
	t.Away = cmp.Or(t.Away, 20*time.Second)
	t.Gone = cmp.Or(t.Gone, 60*time.Second)
	t.Prepare = cmp.Or(t.Prepare, 30*time.Second)
	t.Precopy = cmp.Or(t.Precopy, 60*time.Second)
	t.CutOver = cmp.Or(t.CutOver, 45*time.Second)
	t.Promote = cmp.Or(t.Promote, 60*time.Second)
	t.Hold = cmp.Or(t.Hold, time.Second)
	t.Logs = cmp.Or(t.Logs, wire.LogPatience)
	if len(t.Backoff) == 0 {
		t.Backoff = []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
			15 * time.Second, 30 * time.Second, 60 * time.Second}
	}
	return t
}

// BackoffAfter returns how long to wait after that attempt failed; attempts count from 1.
func (t Timing) BackoffAfter(attempt int) time.Duration {
	return t.Backoff[min(max(attempt, 1), len(t.Backoff))-1]
}
