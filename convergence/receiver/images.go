package receiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// Create makes an application ready to start. One that runs elsewhere until it does here waits for its
// image if that is on the way: until then it is cluster.ErrUnavailable.
func (r *Receiver) Create(ctx context.Context, spec runtime.Spec) error {
	arrival, ok := r.drained(spec.Application.Name)
	if !ok {
		return r.Runtime.Create(ctx, spec)
	}
	waits, err := r.createArriving(ctx, spec)
	if err == nil && waits {
		err = fmt.Errorf("%w: image %s is to come from %s, which still runs it", cluster.ErrUnavailable, spec.Application.Image, arrival.From)
	}
	return err
}

// drained returns how an application arrives that comes without a volume.
func (r *Receiver) drained(name cluster.AppName) (cluster.Arrival, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.assignment.Arriving {
		if a.From != "" && a.Application.Name == name {
			from, _ := r.assignment.Peer(a.From)
			a.From = cluster.NodeID(cmp.Or(from.Name, string(a.From)))
			return a, true
		}
	}
	return cluster.Arrival{}, false
}

// createArriving makes an application ready that is to move here. If its image is not here and no
// registry gives it, the source of the move brings it, and LoadImage goes on: the application waits.
func (r *Receiver) createArriving(ctx context.Context, spec runtime.Spec) (waits bool, err error) {
	if images, ok := r.Runtime.(runtime.Images); ok {
		err := images.EnsureImage(ctx, spec.Application.Image)
		if errors.Is(err, cluster.ErrUnavailable) {
			r.Log.Info("the image comes with the application", "app", spec.Application.Name, "image", spec.Application.Image, "reason", err)
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.waiting == nil {
				r.waiting = map[cluster.AppName]runtime.Spec{}
			}
			r.waiting[spec.Application.Name] = spec
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, r.Runtime.Create(ctx, spec)
}

// HasImage tells the node that an application comes from whether it must bring the image. As long as that may
// yet be had from its registry there is no telling.
func (r *Receiver) HasImage(ctx context.Context, from cluster.NodeID, name string) (bool, error) {
	images, arrivals, err := r.permitImage(from, name)
	if err != nil {
		return false, err
	}
	has, err := images.HasImage(ctx, name)
	if err != nil || has {
		return has, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range arrivals {
		if _, waits := r.waiting[a.Application.Name]; waits || a.From == "" {
			return false, nil
		}
	}
	return false, fmt.Errorf("%w: %s may yet get image %s from its registry", cluster.ErrUnavailable, r.Node.Name, name)
}

// LoadImage takes an image from the source of a move that ends here, and makes the applications
// ready that were waiting for it.
func (r *Receiver) LoadImage(ctx context.Context, from cluster.NodeID, name string, stream io.Reader) error {
	images, _, err := r.permitImage(from, name)
	if err != nil {
		return err
	}
	if err := images.LoadImage(ctx, name, stream); err != nil {
		return err
	}
	for _, spec := range r.waitingFor(name) {
		if err := r.Runtime.Create(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}

// waitingFor returns the applications that were waiting for an image, and forgets them.
func (r *Receiver) waitingFor(image string) []runtime.Spec {
	r.mu.Lock()
	defer r.mu.Unlock()
	var specs []runtime.Spec
	for name, spec := range r.waiting {
		if spec.Application.Image == image {
			specs = append(specs, spec)
			delete(r.waiting, name)
		}
	}
	return specs
}

// permitImage lets a node ask for and bring the image of an application that comes here from it. It returns how
// such applications arrive.
func (r *Receiver) permitImage(from cluster.NodeID, name string) (runtime.Images, []cluster.Arrival, error) {
	images, ok := r.Runtime.(runtime.Images)
	if !ok {
		return nil, nil, fmt.Errorf("%w: the runtime of this node has no images", cluster.ErrUnsupported)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	moves := func(id cluster.MoveID) bool {
		return slices.ContainsFunc(r.assignment.Moves, func(m cluster.Move) bool { return m.ID == id && m.From == from })
	}
	var arrivals []cluster.Arrival
	for _, a := range r.assignment.Arriving {
		if a.Application != nil && a.Application.Image == name && from != "" && (a.From == from || a.From == "" && moves(a.Move)) {
			arrivals = append(arrivals, a)
		}
	}
	if len(arrivals) == 0 {
		return nil, nil, fmt.Errorf("%w: no application with image %s comes from that node to this one", cluster.ErrForbidden, name)
	}
	return images, arrivals, nil
}
