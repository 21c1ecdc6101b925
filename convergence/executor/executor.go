// Package executor does the steps of plans: lanes beside one another, the steps of a lane one after
// another, and what failed again after a while.
//
//	e := &executor.Executor{Actions: actions, Log: log, Ended: wake}
//	e.Look()                            // before the world is looked at
//	wait := e.Start(ctx, p.Lanes, now)  // with the plan that was made of that look
//
// A lane that is busy is left alone: no other plan touches what it works on. So is one that was busy at
// any time since the look, since what was seen of it may be out of date. Its end wakes the next pass.
//
// The package does not know what a step does: that is the table of actions.
package executor

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/convergence/plan"
)

// An Action does one kind of step. It looks at the world and does what is missing.
type Action func(ctx context.Context, s plan.Step) error

// An Executor does steps. The exported fields must be set.
type Executor struct {
	// Actions is what each kind of step does.
	Actions map[plan.Kind]Action
	Log     *slog.Logger
	// Ended is called when a lane has ended.
	Ended func()

	mu      sync.Mutex // no action runs under it
	lanes   map[string]*run
	failed  map[string]Failure
	touched map[string]bool // the lanes that were busy at any time since the last Look
}

// A run is a lane whose steps are being done.
type run struct {
	steps   []plan.Step // none: it is held
	apart   bool
	current int
	cancel  context.CancelCauseFunc
	done    chan struct{}
}

// Look begins a look at the world, and returns the lanes that are busy.
func (e *Executor) Look() (busy map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.touched = map[string]bool{}
	for key := range e.lanes {
		e.touched[key] = true
	}
	return maps.Clone(e.touched)
}

// Start begins the lanes of the plan that was made of the last look. It returns how long it is at the
// longest until one of those that failed is to be tried again; zero: none is.
func (e *Executor) Start(ctx context.Context, lanes []plan.Lane, now time.Time) (wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	planned := map[string]bool{}
	for _, lane := range lanes {
		planned[lane.Key] = true
		if e.touched[lane.Key] || e.waits(lane) {
			continue
		}
		if left := e.backOff(lane, now); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		e.begin(ctx, lane)
	}
	e.forget(planned)
	return wait
}

// waits reports whether a lane must wait for the end of another one. The caller holds mu.
func (e *Executor) waits(lane plan.Lane) bool {
	return slices.ContainsFunc(lane.After, func(key string) bool { return e.lanes[key] != nil || e.touched[key] })
}

// begin has the steps of a lane done. The caller holds mu.
func (e *Executor) begin(ctx context.Context, lane plan.Lane) {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &run{steps: lane.Steps, apart: lane.Apart, cancel: cancel, done: make(chan struct{})}
	e.occupy(lane.Key, r)
	go func() {
		defer cancel(nil)
		failure := e.do(ctx, r)
		e.end(lane.Key, r, func() { e.settle(ctx, lane.Key, failure) })
	}()
}

// occupy makes a lane busy. The caller holds mu.
func (e *Executor) occupy(key string, r *run) {
	if e.lanes == nil {
		e.lanes, e.failed, e.touched = map[string]*run{}, map[string]Failure{}, map[string]bool{}
	}
	e.lanes[key], e.touched[key] = r, true
}

// end makes a lane idle again.
func (e *Executor) end(key string, r *run, settle func()) {
	e.mu.Lock()
	if e.lanes[key] == r {
		delete(e.lanes, key)
	}
	settle()
	e.mu.Unlock()
	close(r.done)
	e.Ended()
}

// do does the steps one after another, up to the first that fails, or all that stand apart. It returns
// the first failure.
func (e *Executor) do(ctx context.Context, r *run) (first *Failure) {
	for i, step := range r.steps {
		e.mu.Lock()
		r.current = i
		e.mu.Unlock()
		err := e.step(ctx, step)
		if err != nil && first == nil {
			first = &Failure{Step: step, Err: err}
		}
		if ctx.Err() != nil || err != nil && !r.apart {
			break
		}
	}
	return first
}

// step does one step and logs how it went.
func (e *Executor) step(ctx context.Context, step plan.Step) error {
	log := e.Log.With("step", step.Kind, "app", step.Application, "volume", step.Volume, "reason", step.Reason)
	log.Debug("step begins")
	began := time.Now()
	err := e.Actions[step.Kind](ctx, step)
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

// Cancel breaks off the lanes whose present step is no longer wanted: why says so, or is nil.
func (e *Executor) Cancel(why func(plan.Step) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.lanes {
		if len(r.steps) == 0 {
			continue // it is held
		}
		if err := why(r.steps[r.current]); err != nil {
			r.cancel(err)
		}
	}
}

// Hold waits until a lane is idle, breaking off what it does, and keeps it so until what it returns is
// called: somebody else works on what it is about.
func (e *Executor) Hold(ctx context.Context, key string, why error) (release func(), err error) {
	for {
		e.mu.Lock()
		busy := e.lanes[key]
		if busy == nil {
			held := &run{cancel: func(error) {}, done: make(chan struct{})}
			e.occupy(key, held)
			e.mu.Unlock()
			return sync.OnceFunc(func() { e.end(key, held, func() {}) }), nil
		}
		e.mu.Unlock()
		busy.cancel(why)
		select {
		case <-busy.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Wait waits until no lane is busy. Those that notice the end of their context end soon after it.
func (e *Executor) Wait() {
	e.mu.Lock()
	running := slices.Collect(maps.Values(e.lanes))
	e.mu.Unlock()
	for _, r := range running {
		<-r.done
	}
}

// Running returns the steps that are being done, by the keys of their lanes.
func (e *Executor) Running() []plan.Step {
	e.mu.Lock()
	defer e.mu.Unlock()
	var steps []plan.Step
	for _, key := range slices.Sorted(maps.Keys(e.lanes)) {
		if r := e.lanes[key]; len(r.steps) > 0 {
			steps = append(steps, r.steps[r.current])
		}
	}
	return steps
}
