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

// beforeStop runs the user's command beside the application, and ships what that has made it write
// out, while clients are still served.
func (h *Handoff) beforeStop(ctx context.Context) error {
	command := h.Application.Stop.Before
	if len(command) == 0 {
		return nil
	}
	began := time.Now()
	if err := h.Runtime.Exec(ctx, h.Move.Application, command); err != nil {
		return fmt.Errorf("the command before the stop of %s: %w", h.Move.Application, err)
	}
	h.Log.Info("the command before the stop has run", "command", command, "took", time.Since(began).Round(time.Millisecond))
	h.figures.begin()
	if _, err := h.ship(ctx, h.roundName("before-stop"), h.BytesPerSecond); err != nil {
		return fmt.Errorf("the round after the command before the stop: %w", err)
	}
	return nil
}
