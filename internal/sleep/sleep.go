// Package sleep waits, and stops waiting when a context ends.
//
//	if err := sleep.For(ctx, time.Second); err != nil {
//		return err // ctx has ended
//	}
package sleep

import (
	"context"
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
