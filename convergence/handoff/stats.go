package handoff

import (
	"context"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/sleep"
)

// figures collects what an attempt measures, and where it stands, for the progress reports.
type stats struct {
	changed chan struct{} // has room for one: something worth a report at once

	mu   sync.Mutex
	now  cluster.Stats
	at   cluster.Phase
	last bool   // the round under way is the last one
	why  string // what the attempt waits for; empty: nothing
	// ahead is when the attempt last got ahead: reports alone, and what is waited for, do not count.
	ahead time.Time
}

func newStats(from cluster.Stats) *stats {
	return &stats{changed: make(chan struct{}, 1), now: cluster.Stats{Rounds: from.Rounds, ImageBytes: from.ImageBytes},
		at: cluster.PhasePrecopy, ahead: time.Now()}
}

// snapshot returns the figures as they are now.
func (f *stats) snapshot() cluster.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.now
	out.Rounds = append([]cluster.Round(nil), f.now.Rounds...)
	return out
}

func (f *stats) phase(p cluster.Phase) {
	f.mu.Lock()
	f.at, f.why, f.ahead = p, "", time.Now()
	f.last = f.last || p == cluster.PhaseFinal
	f.mu.Unlock()
	f.signal()
}

func (f *stats) stopped(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Stop = took
}

// proven notes what shows that both copies are equal.
func (f *stats) proven(by string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Proof = by
}

// expect notes the size of a full copy.
func (f *stats) expect(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.EstimatedBytes = bytes
}

// image notes how much of the application's image has been shipped.
func (f *stats) image(bytes int64) {
	f.mu.Lock()
	f.moved(f.now.ImageBytes != bytes)
	f.now.ImageBytes = bytes
	f.mu.Unlock()
	f.signal()
}

// expectRound notes what the round under way should come to. The first one is the bulk of what is
// shipped in all.
func (f *stats) expectRound(bytes int64) {
	f.mu.Lock()
	f.round().Expect = bytes
	if len(f.now.Rounds) == 1 {
		f.now.EstimatedBytes = bytes
	}
	f.mu.Unlock()
	f.signal()
}

// wait notes why the attempt does not cut over yet; the next phase forgets it.
func (f *stats) wait(why string) {
	f.mu.Lock()
	f.why = why
	f.mu.Unlock()
	f.signal()
}

// begin starts a pre-copy round.
func (f *stats) begin() {
	f.mu.Lock()
	f.now.Rounds = append(f.now.Rounds, cluster.Round{})
	f.moved(true)
	f.mu.Unlock()
	f.signal()
}

// shipped notes how far the round under way has come.
func (f *stats) shipped(bytes int64) {
	f.mu.Lock()
	f.moved(f.round().Bytes != bytes)
	f.round().Bytes = bytes
	f.mu.Unlock()
	f.signal()
}

// end notes what the round under way came to.
func (f *stats) end(bytes int64, took time.Duration) {
	f.mu.Lock()
	f.round().Bytes, f.round().Took = bytes, took
	f.moved(true)
	f.mu.Unlock()
	f.signal()
}

// moved notes that the attempt got ahead, if it did. The caller holds mu.
func (f *stats) moved(ahead bool) {
	if ahead {
		f.ahead = time.Now()
	}
}

// still returns for how long the attempt has not got ahead.
func (f *stats) still() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.ahead)
}

// round returns the round under way; the caller holds mu.
func (f *stats) round() *cluster.Round {
	if f.last || len(f.now.Rounds) == 0 {
		return &f.now.Final
	}
	return &f.now.Rounds[len(f.now.Rounds)-1]
}

func (f *stats) signal() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// progressInterval is the shortest time between two progress reports.
const progressInterval = 300 * time.Millisecond

// progressSilence is the longest time between two, so that the control service does not take a
// long round for a dead one.
const progressSilence = 10 * time.Second

// reportProgress reports in the background until ctx ends; then the returned channel is closed.
// A report that fails is not repeated: the next one says more.
func (h *Handoff) reportProgress(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-h.stats.changed:
			case <-time.After(progressSilence):
				if h.stats.still() > h.Patience() {
					continue // to be alive is no progress: without it the control service ends the attempt
				}
			}
			h.stats.mu.Lock()
			at, why := h.stats.at, h.stats.why
			h.stats.mu.Unlock()
			if at == cluster.PhaseHold {
				at = "" // the hold itself has told the control service
			}
			report := wire.ProgressReport{Attempt: h.Move.Attempt, Phase: at, Reason: why, Stats: h.stats.snapshot()}
			if err := h.Control.Progress(ctx, h.Move.ID, report); err != nil && ctx.Err() == nil {
				h.Log.Debug("progress was not reported", "error", err)
			}
			_ = sleep.For(ctx, progressInterval)
		}
	}()
	return done
}
