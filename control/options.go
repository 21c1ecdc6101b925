package control

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/drover/drover/control/wire"
)

// Options are how a Service behaves. The zero value works.
type Options struct {
	// Log is where the service says what it does; nil: slog's default.
	Log *slog.Logger
	// Version and Cluster are what Service.Version answers.
	Version, Cluster string
	// Timing holds the service's patience.
	Timing Timing
}

// Timing is how long the service waits for what. A zero field means the default that it names.
type Timing struct {
	// Tick is how often deadlines, back-offs and leases are looked at: 500 ms.
	Tick time.Duration
	// Liveness is how long after its last word a node is in touch: wire.LivenessWindow.
	Liveness time.Duration
	// Away is how much longer a source may be out of touch before its attempt is failed: 20 s.
	Away time.Duration
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

func (o Options) log() *slog.Logger { return cmp.Or(o.Log, slog.Default()) }

func (t Timing) tick() time.Duration     { return cmp.Or(t.Tick, 500*time.Millisecond) }
func (t Timing) liveness() time.Duration { return cmp.Or(t.Liveness, wire.LivenessWindow) }
func (t Timing) away() time.Duration     { return cmp.Or(t.Away, 20*time.Second) }
func (t Timing) prepare() time.Duration  { return cmp.Or(t.Prepare, 30*time.Second) }
func (t Timing) precopy() time.Duration  { return cmp.Or(t.Precopy, 60*time.Second) }
func (t Timing) cutOver() time.Duration  { return cmp.Or(t.CutOver, 45*time.Second) }
func (t Timing) promote() time.Duration  { return cmp.Or(t.Promote, 60*time.Second) }
func (t Timing) hold() time.Duration     { return cmp.Or(t.Hold, time.Second) }
func (t Timing) logs() time.Duration     { return cmp.Or(t.Logs, wire.LogPatience) }

// backoff returns how long to wait after that attempt failed; attempts count from 1.
func (t Timing) backoff(attempt int) time.Duration {
	waits := t.Backoff
	if len(waits) == 0 {
		waits = []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
			15 * time.Second, 30 * time.Second, 60 * time.Second}
	}
	return waits[min(max(attempt, 1), len(waits))-1]
}

// How much of the past is kept.
const (
	keptEvents     = 10_000
	keptMoves      = 1_000
	mostLogs       = 64               // requests for logs that are waited for or followed
	recentlyEnded  = 10 * time.Minute // such moves are part of a Status
	staleAttempts  = 5                // how often a write is tried anew when the store is ahead
	slicesPerWrite = 20               // bits of a slice's revision below the store's
)
