package runtime

import (
	"context"
	"errors"
	"slices"
	"syscall"
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

// shortages are what a host, or this program on it, may have too little of to look at anything.
var shortages = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EAGAIN, syscall.EADDRNOTAVAIL}

// Unknown reports whether an error of a health check says nothing of the application: this host was
// short of something that the check needs, or the engine that could tell did not answer.
func Unknown(err error) bool {
	return errors.Is(err, cluster.ErrUnavailable) || slices.ContainsFunc(shortages, func(e error) bool { return errors.Is(err, e) })
}

// WatchHealth looks at an application until ctx ends, and notes what each look found: that it is
// healthy, or why not. While nothing is known, what was known last stays: see Unknown.
func WatchHealth(ctx context.Context, health *cluster.HealthCheck, check func(context.Context) error, note func(unhealthy error)) {
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
		unhealthy := check(look)
		cancel()
		if ctx.Err() != nil {
			return
		}
		unknown := Unknown(unhealthy)
		if !unknown {
			note(unhealthy)
		}
		switch {
		case unhealthy == nil, unknown:
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
