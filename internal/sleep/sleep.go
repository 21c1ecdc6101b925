// Package sleep waits, and stops waiting when a context ends.
//
//	if err := sleep.For(ctx, time.Second); err != nil {
//		return err // ctx has ended
//	}
package sleep

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"
)

// For returns nil after d, or the cause of ctx's end as soon as it has ended.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// patient is after how many tries a client waits longer.
const patient = 12

// Reconnect is how long a client that keeps its connection waits before it tries again, after so many tries that
// failed. It grows with them, and more once a service does not just start again but has too many to serve. It is
// another one for each client, so that they do not all come at once; it is no dice, so that a run can be run again.
func Reconnect(client string, failures int) time.Duration {
	most := min(50*time.Millisecond<<min(failures, 6), 2*time.Second)
	if failures > patient {
		most = 6 * time.Second
	}
	own := fnv.New32a()
	fmt.Fprint(own, client, failures)
	return most/2 + time.Duration(own.Sum32())%(most/2)
}
