package handoff

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume/transfer"
)

// carryImage ships the application's image to a target that could get it nowhere else.
func (h *Handoff) carryImage(ctx context.Context) error {
	images, ok := h.Runtime.(runtime.Images)
	name := h.Application.Image
	if !ok || name == "" {
		return nil
	}
	has, err := h.session.HasImage(ctx, name)
	if err != nil {
		return fmt.Errorf("ask %s for its images: %w", h.Target.Name, err)
	}
	if has {
		return nil
	}
	h.Log.Info("the target has not the image: it is shipped", "image", name)
	n, err := h.session.SendImage(ctx, name, func(ctx context.Context, w io.Writer) error {
		return images.SaveImage(ctx, name, w)
	}, transfer.Options{BytesPerSecond: h.BytesPerSecond, Progress: h.figures.image})
	h.figures.image(n)
	if err != nil {
		return fmt.Errorf("send image %s to %s: %w", name, h.Target.Name, err)
	}
	return nil
}

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
	p := predictor{budget: h.pauseBudget(), maxRounds: maxCommands}
	for n := 1; ; n++ {
		began := time.Now()
		if err := h.Runtime.Exec(ctx, h.Move.Application, command); err != nil {
			return fmt.Errorf("the command before the stop of %s: %w", h.Move.Application, err)
		}
		h.Log.Info("the command before the stop has run", "command", command, "took", time.Since(began).Round(time.Millisecond))
		took, err := h.round(ctx, h.roundName(fmt.Sprint("before-stop-", n)))
		if err != nil {
			return fmt.Errorf("round %d after the command before the stop: %w", n, err)
		}
		if p.add(took); n == maxCommands || !p.shrinks() {
			return nil
		}
	}
}
