package executor

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/drover/drover/convergence/plan"
)

// A Failure is why a lane stopped, and when it is tried again.
type Failure struct {
	Step  plan.Step
	Err   error
	Retry time.Time
	count int
}

const (
	retryFirst = 200 * time.Millisecond
	retryMost  = 30 * time.Second
)

// Failures returns why lanes have stopped, by their keys.
func (e *Executor) Failures() []Failure {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []Failure
	for _, key := range slices.Sorted(maps.Keys(e.failed)) {
		all = append(all, e.failed[key])
	}
	return all
}

// Failure returns why a lane has stopped.
func (e *Executor) Failure(key string) (Failure, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f, failed := e.failed[key]
	return f, failed
}

// settle notes how a lane ended. One that was broken off has not failed. The caller holds mu.
func (e *Executor) settle(ctx context.Context, key string, f *Failure) {
	switch {
	case f == nil:
		delete(e.failed, key)
	case ctx.Err() == nil:
		f.count = e.failed[key].count + 1
		f.Retry = time.Now().Add(min(retryFirst<<min(f.count-1, 10), retryMost))
		e.failed[key] = *f
	}
}

// backOff returns how long a lane is to wait because it failed. The caller holds mu.
func (e *Executor) backOff(lane plan.Lane, now time.Time) time.Duration {
	f, failed := e.failed[lane.Key]
	if !failed || !slices.ContainsFunc(lane.Steps, f.again) {
		return 0 // a plan that has become a different one is tried at once
	}
	return f.Retry.Sub(now)
}

// again reports whether a step is the one that failed.
func (f Failure) again(s plan.Step) bool {
	return s.Kind == f.Step.Kind && s.Subject() == f.Step.Subject() && s.Move.ID == f.Step.Move.ID && s.Move.Attempt == f.Step.Move.Attempt
}

// forget drops the failures of lanes that have nothing to do any more. The caller holds mu.
func (e *Executor) forget(planned map[string]bool) {
	maps.DeleteFunc(e.failed, func(key string, _ Failure) bool { return !planned[key] && e.lanes[key] == nil })
}
