package runtime

import (
	"context"
	"time"

	"github.com/drover/drover/cluster"
)

const (
	// startPoll is how often an application that is not healthy yet is looked at: clients wait
	// for it in a move.
	startPoll = 5 * time.Millisecond
	// startPeriod is how long an application is looked at that often; then the looks grow rarer, up
	// to longestStartPoll.
	startPeriod      = 2 * time.Second
	longestStartPoll = 200 * time.Millisecond
	// steadyPoll is how often afterwards, unless the health check says.
	steadyPoll = time.Second
	// checkTimeout bounds one look, unless the health check says.
	checkTimeout = 2 * time.Second
)

// WatchHealth looks at an application until ctx ends, and notes what each look found.
func WatchHealth(ctx context.Context, health *cluster.HealthCheck, check func(context.Context) bool, note func(healthy bool)) {
	steady, timeout := steadyPoll, checkTimeout
	if health != nil && health.Interval > 0 {
		steady = health.Interval
	}
	if health != nil && health.Timeout > 0 {
		timeout = health.Timeout
	}
	wait, began := startPoll, time.Now()
	for {
		look, cancel := context.WithTimeout(ctx, timeout)
		healthy := check(look)
		cancel()
		if ctx.Err() != nil {
			return
		}
		note(healthy)
		switch {
		case healthy:
			wait = steady
		case time.Since(began) < startPeriod:
			wait = startPoll
		default:
			wait = min(wait*5/4, longestStartPoll)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
