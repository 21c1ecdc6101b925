package convergence

import (
	"context"
	"errors"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/plan"
)

// A laneRun is a lane whose steps are being done. While it lasts no other plan touches the lane.
type laneRun struct {
	steps   []plan.Step
	current int
	cancel  context.CancelCauseFunc
	done    chan struct{}
}

// A failedStep is why a lane stopped, and when it is tried again.
type failedStep struct {
	step  plan.Step
	err   error
	count int
	retry time.Time
}

// An outcome is what became of an attempt of a move that did not succeed.
type outcome struct {
	attempt int
	err     *handoff.Error
}

// startLane begins a lane unless it is busy or waits after a failure; then it returns how long.
// The caller holds mu.
func (a *Agent) startLane(ctx context.Context, lane plan.Lane, now time.Time) time.Duration {
	if _, busy := a.lanes[lane.Key]; busy {
		return 0
	}
	if f, ok := a.failed[lane.Key]; ok && sameSteps(f.step, lane.Steps) {
		if wait := f.retry.Sub(now); wait > 0 {
			return wait
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	run := &laneRun{steps: lane.Steps, cancel: cancel, done: make(chan struct{})}
	a.lanes[lane.Key] = run
	go func() {
		defer close(run.done)
		defer cancel(nil)
		a.runLane(ctx, lane.Key, run)
	}()
	return 0
}

// sameSteps reports whether a lane would fail at the same step again: a plan that has become a
// different one is tried at once.
func sameSteps(failed plan.Step, steps []plan.Step) bool {
	for _, s := range steps {
		if s.Kind == failed.Kind && s.Subject() == failed.Subject() && s.Move.ID == failed.Move.ID && s.Move.Attempt == failed.Move.Attempt {
			return true
		}
	}
	return false
}

// runLane does the steps one after another and stops at the first that fails.
func (a *Agent) runLane(ctx context.Context, key string, run *laneRun) {
	var failed *failedStep
	for i, step := range run.steps {
		a.mu.Lock()
		run.current = i
		a.mu.Unlock()
		if err := a.do(ctx, step); err != nil {
			failed = &failedStep{step: step, err: err}
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.lanes, key)
	if failed == nil {
		delete(a.failed, key)
	} else if ctx.Err() == nil {
		a.remember(key, *failed)
	}
	a.signal(a.wake)
}

// remember notes a failure with the time of the next try. The caller holds mu.
func (a *Agent) remember(key string, f failedStep) {
	f.count = a.failed[key].count + 1
	f.retry = time.Now().Add(min(100*time.Millisecond<<min(f.count, 10), 30*time.Second))
	a.failed[key] = f
}

// do does one step and logs how it went.
func (a *Agent) do(ctx context.Context, step plan.Step) error {
	log := a.Log.With("step", step.Kind, "app", step.Application, "volume", step.Volume, "reason", step.Reason)
	log.Debug("step begins")
	began := time.Now()
	err := actions[step.Kind](a, ctx, step)
	took := time.Since(began).Round(time.Microsecond)
	switch {
	case err == nil:
		log.Info("step done", "took", took)
	case ctx.Err() != nil:
		log.Info("step broken off", "took", took, "cause", context.Cause(ctx))
	default:
		log.Warn("step failed", "took", took, "error", err)
	}
	return err
}

// cancelStale breaks off hand-offs that are no longer wanted: aborted, given up by the control
// service, or gone. The caller holds mu.
func (a *Agent) cancelStale() {
	for _, run := range a.lanes {
		step := run.steps[run.current]
		if step.Kind != plan.HandOff {
			continue
		}
		if why := stale(step.Move, a.slice.Moves); why != "" {
			run.cancel(errors.New(why))
		}
	}
}

func stale(move cluster.Move, open []cluster.Move) string {
	for _, m := range open {
		switch {
		case m.ID != move.ID:
		case m.Aborting:
			return "the move was aborted: " + m.Reason
		case m.Attempt != move.Attempt:
			return "the control service gave up this attempt: " + m.Reason
		default:
			return ""
		}
	}
	return "the move has ended"
}

// forgetIdle drops the failures of lanes that have nothing to do any more. The caller holds mu.
func (a *Agent) forgetIdle(p plan.Plan) {
	planned := map[string]bool{}
	for _, lane := range p.Lanes {
		planned[lane.Key] = true
	}
	for key := range a.failed {
		if _, busy := a.lanes[key]; !planned[key] && !busy {
			delete(a.failed, key)
		}
	}
}

func (a *Agent) busyLanes() map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	busy := make(map[string]bool, len(a.lanes))
	for key := range a.lanes {
		busy[key] = true
	}
	return busy
}

// waitForLanes waits for the lanes to notice that the agent ends.
func (a *Agent) waitForLanes() {
	a.mu.Lock()
	var running []chan struct{}
	for _, run := range a.lanes {
		running = append(running, run.done)
	}
	a.mu.Unlock()
	for _, done := range running {
		<-done
	}
}
