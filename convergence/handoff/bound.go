package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/sleep"
)

// errStill: something did not get ahead any more.
var errStill = errors.New("no progress")

// bounded breaks off what does not get ahead for too long. What does not even notice that is left to the
// control service, which then hears of no progress either.
func (h *Handoff) bounded(ctx context.Context, do func(context.Context) (cluster.Snapshot, error)) (cluster.Snapshot, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := h.Patience()
	go func() {
		for {
			left := patience - h.stats.still()
			if left < 0 {
				cancel(fmt.Errorf("%w for %s", errStill, patience))
				return
			}
			if sleep.For(ctx, left+time.Millisecond) != nil {
				return
			}
		}
	}()
	result, err := do(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStill) && !errors.Is(err, errStill) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return result, err
}
