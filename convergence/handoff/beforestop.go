package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
)

// maxCommands bounds how often the command before the stop runs.
const maxCommands = 3

// beforeStop runs the user's command beside the application, and ships what that has made it write
// out, while clients are still served. Each time there is less of it, so it is done again while
// that pays: what the application writes between the last time and its stop, clients wait for.
func (h *Handoff) beforeStop(ctx context.Context) error {
	command := h.Application.Stop.Before
	if len(command) == 0 {
		return nil
	}
	if runs, err := h.runs(ctx, h.Application.Name); err != nil || !runs {
		return err // what does not run has nothing to write out
	}
	p := h.predictor()
	for n := 1; ; n++ {
		began := time.Now()
		h.stats.phase(cluster.PhasePrecopy) // it has its time for itself
		if err := h.Runtime.Exec(ctx, h.Application.Name, command); err != nil {
			if cause := context.Cause(ctx); errors.Is(cause, errStill) {
				err = &Error{Final: true, cause: fmt.Errorf("it did not end within %s", h.Patience())}
			}
			return fmt.Errorf("the command before the stop of %s: %w", h.Application.Name, err)
		}
		h.Log.Info("the command before the stop has run", "command", command, "took", time.Since(began).Round(time.Millisecond))
		took, err := h.round(ctx, h.roundName(fmt.Sprint("before-stop-", n)))
		if err != nil {
			return fmt.Errorf("round %d after the command before the stop: %w", n, err)
		}
		if p.add(took); n == maxCommands || !p.shrinks() {
			if !p.fits() {
				return &Error{Final: true, cause: pauseTooLong(p.tooLong())}
			}
			return nil
		}
	}
}
