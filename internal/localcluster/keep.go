package localcluster

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover/drover/internal/sleep"
)

// A process that has ended is started again after a while, which doubles each time that it ends soon.
const (
	shortestPause = time.Second
	longestPause  = 30 * time.Second
)

// Keep starts processes that end again, and says so with the last lines of their logs, until ctx ends.
func (c *Cluster) Keep(ctx context.Context, say func(line string)) error {
	group, ctx := errgroup.WithContext(ctx)
	lines := make(chan string)
	for _, name := range append([]string{Control}, c.NodeNames()...) {
		group.Go(func() error { return c.keep(ctx, name, lines) })
	}
	for {
		select {
		case line := <-lines:
			say(line)
		case <-ctx.Done():
			return group.Wait()
		}
	}
}

// keep is Keep for one process.
func (c *Cluster) keep(ctx context.Context, name string, lines chan<- string) error {
	say := func(format string, args ...any) {
		select {
		case lines <- fmt.Sprintf(format, args...):
		case <-ctx.Done():
		}
	}
	pause := shortestPause
	for started := time.Now(); ; started = time.Now() {
		p := c.Process(name)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Done():
		}
		if time.Since(started) > longestPause {
			pause = shortestPause
		}
		say("%s has ended: %s; the last lines of %s:\n%s\nit is started again in %s", called(name), p.Ended(), p.LogFile, p.Tail(), pause)
		if err := sleep.For(ctx, pause); err != nil {
			return err
		}
		if err := c.Run(name); err != nil {
			say("%s cannot be started: %s", called(name), err)
		} else {
			say("%s is started again", called(name))
		}
		pause = min(2*pause, longestPause)
	}
}

func called(name string) string {
	if name == Control {
		return "the control service"
	}
	return "the agent of node " + name
}
