package handoff

import (
	"context"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// figures collects what an attempt measures, and where it stands, for the progress reports.
type figures struct {
	changed chan struct{} // has room for one: something worth a report at once

	mu   sync.Mutex
	now  cluster.Figures
	at   cluster.Phase
	last bool // the round under way is the last one
}

func newFigures(from cluster.Figures) *figures {
	return &figures{changed: make(chan struct{}, 1), now: cluster.Figures{Rounds: from.Rounds, ImageBytes: from.ImageBytes}, at: cluster.PhasePrecopy}
}

// snapshot returns the figures as they are now.
func (f *figures) snapshot() cluster.Figures {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.now
	out.Rounds = append([]cluster.Round(nil), f.now.Rounds...)
	return out
}

func (f *figures) phase(p cluster.Phase) {
	f.mu.Lock()
	f.at = p
	f.last = f.last || p == cluster.PhaseFinal
	f.mu.Unlock()
	f.signal()
}

func (f *figures) stopped(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Stop = took
}

// expect notes the size of a full copy.
func (f *figures) expect(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.EstimatedBytes = bytes
}

// image notes how much of the application's image has been shipped.
func (f *figures) image(bytes int64) {
	f.mu.Lock()
	f.now.ImageBytes = bytes
	f.mu.Unlock()
	f.signal()
}

// expectRound notes what the round under way should come to. The first one is the bulk of what is
// shipped in all.
func (f *figures) expectRound(bytes int64) {
	f.mu.Lock()
	f.round().Expect = bytes
	if len(f.now.Rounds) == 1 {
		f.now.EstimatedBytes = bytes
	}
	f.mu.Unlock()
	f.signal()
}

// begin starts a pre-copy round.
func (f *figures) begin() {
	f.mu.Lock()
	f.now.Rounds = append(f.now.Rounds, cluster.Round{})
	f.mu.Unlock()
	f.signal()
}

// shipped notes how far the round under way has come.
func (f *figures) shipped(bytes int64) {
	f.mu.Lock()
	f.round().Bytes = bytes
	f.mu.Unlock()
	f.signal()
}

// end notes what the round under way came to.
func (f *figures) end(bytes int64, took time.Duration) {
	f.mu.Lock()
	f.round().Bytes, f.round().Took = bytes, took
	f.mu.Unlock()
	f.signal()
}

// round returns the round under way; the caller holds mu.
func (f *figures) round() *cluster.Round {
	if f.last || len(f.now.Rounds) == 0 {
		return &f.now.Final
	}
	return &f.now.Rounds[len(f.now.Rounds)-1]
}

func (f *figures) signal() {
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
			case <-h.figures.changed:
			case <-time.After(progressSilence):
			}
			h.figures.mu.Lock()
			at := h.figures.at
			h.figures.mu.Unlock()
			if at == cluster.PhaseHold {
				at = "" // the hold itself has told the control service
			}
			report := wire.ProgressReport{Attempt: h.Move.Attempt, Phase: at, Figures: h.figures.snapshot()}
			if err := h.Control.Progress(ctx, h.Move.ID, report); err != nil && ctx.Err() == nil {
				h.Log.Debug("progress was not reported", "error", err)
			}
			_ = sleep(ctx, progressInterval)
		}
	}()
	return done
}
