package handoff

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume/transfer"
)

// carryImage ships the application's image to a target that could get it nowhere else.
func (h *Handoff) carryImage(ctx context.Context) error {
	o := transfer.Options{BytesPerSecond: h.BytesPerSecond, Progress: h.stats.image}
	n, err := CarryImage(ctx, h.session, h.Target, h.Runtime, h.Application.Image, o, h.Log)
	if n > 0 {
		h.stats.image(n)
	}
	return err
}

// CarryImage ships an image to a node that does not have it, and returns the number of bytes that went over
// the wire. Of a runtime without images there is nothing to ship.
func CarryImage(ctx context.Context, s transfer.Session, to cluster.Node, from runtime.Runtime, name string, o transfer.Options, log *slog.Logger) (int64, error) {
	images, ok := from.(runtime.Images)
	if !ok || name == "" {
		return 0, nil
	}
	has, err := s.HasImage(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("ask %s for its images: %w", to.Name, err)
	}
	if has {
		return 0, nil
	}
	log.Info("the target has not the image: it is shipped", "image", name)
	n, err := s.SendImage(ctx, name, func(ctx context.Context, w io.Writer) error { return images.SaveImage(ctx, name, w) }, o)
	if err != nil {
		return n, fmt.Errorf("send image %s to %s: %w", name, to.Name, err)
	}
	return n, nil
}
