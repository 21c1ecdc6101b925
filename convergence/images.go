package convergence

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// createArriving makes an application ready that is to move here. If its image is not here and no
// registry gives it, the source of the move brings it, and LoadImage goes on.
func (a *Agent) createArriving(ctx context.Context, spec runtime.Spec) error {
	if images, ok := a.Runtime.(runtime.Images); ok {
		err := images.EnsureImage(ctx, spec.Application.Image)
		if errors.Is(err, cluster.ErrUnavailable) {
			a.Log.Info("the image comes with the application", "app", spec.Application.Name, "image", spec.Application.Image, "reason", err)
			a.mu.Lock()
			defer a.mu.Unlock()
			a.waiting[spec.Application.Name] = spec
			return nil
		}
		if err != nil {
			return err
		}
	}
	return a.Runtime.Create(ctx, spec)
}

// HasImage tells the source of a move that ends here whether it must bring the image.
func (a *Agent) HasImage(ctx context.Context, from cluster.NodeID, name string) (bool, error) {
	images, err := a.permitImage(from, name)
	if err != nil {
		return false, err
	}
	return images.HasImage(ctx, name)
}

// LoadImage takes an image from the source of a move that ends here, and makes the applications
// ready that were waiting for it.
func (a *Agent) LoadImage(ctx context.Context, from cluster.NodeID, name string, stream io.Reader) error {
	images, err := a.permitImage(from, name)
	if err != nil {
		return err
	}
	if err := images.LoadImage(ctx, name, stream); err != nil {
		return err
	}
	for _, spec := range a.waitingFor(name) {
		if err := a.Runtime.Create(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}

// waitingFor returns the applications that were waiting for an image, and forgets them.
func (a *Agent) waitingFor(image string) []runtime.Spec {
	a.mu.Lock()
	defer a.mu.Unlock()
	var specs []runtime.Spec
	for name, spec := range a.waiting {
		if spec.Application.Image == image {
			specs = append(specs, spec)
			delete(a.waiting, name)
		}
	}
	return specs
}

// permitImage lets a node ask for and bring the image of an application that moves here from it.
func (a *Agent) permitImage(from cluster.NodeID, name string) (runtime.Images, error) {
	images, ok := a.Runtime.(runtime.Images)
	if !ok {
		return nil, fmt.Errorf("%w: the runtime of this node has no images", cluster.ErrUnsupported)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, arrival := range a.slice.Arriving {
		for _, m := range a.slice.Moves {
			if m.ID == arrival.Move && m.From == from && from != "" && arrival.Application != nil && arrival.Application.Image == name {
				return images, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: no move brings an application with image %s from that node to this one", cluster.ErrForbidden, name)
}
