package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// Check implements runtime.Runtime. It does not look for the image: see runtime.Images.
func (r *Runtime) Check(_ context.Context, spec runtime.Spec) error {
	app := spec.Application
	switch {
	case strings.HasSuffix(string(app.Name), sandboxSuffix):
		return fmt.Errorf("%w: %s would have the container of another application's network: choose a name that does not end in %s",
			cluster.ErrUnsupported, app.Name, sandboxSuffix)
	case app.Image == "":
		return fmt.Errorf("%w: %s has no image: the docker runtime runs images", cluster.ErrUnsupported, app.Name)
	case app.Volume != nil && app.Volume.Mountpoint == "":
		return fmt.Errorf("%w: %s does not say where its volume is to be mounted", cluster.ErrUnsupported, app.Name)
	}
	return nil
}

// Owner implements runtime.Runtime. What a name means only the image knows, whose entry point will
// see to it; numbers are taken at their word.
func (r *Runtime) Owner(app cluster.Application) (uid, gid int, err error) {
	user, group, _ := strings.Cut(app.User, ":")
	if uid, err = strconv.Atoi(user); err != nil {
		return 0, 0, nil
	}
	if gid, err = strconv.Atoi(group); err != nil {
		gid = 0 // as the engine would
	}
	return uid, gid, nil
}

// Create implements runtime.Runtime. It leaves the sandbox running.
func (r *Runtime) Create(ctx context.Context, spec runtime.Spec) error {
	name := spec.Application.Name
	if err := r.Check(ctx, spec); err != nil {
		return err
	}
	c, err := r.find(ctx, name)
	switch {
	case errors.Is(err, cluster.ErrNotFound):
	case err != nil:
		return err
	default:
		is := readLabels(c.Config.Labels)
		if is.fingerprint == spec.Fingerprint() && is.epoch == spec.Epoch {
			return r.startSandbox(ctx, name)
		}
		if err := r.ended(ctx, c); err != nil {
			return err
		}
		r.forget(c.ID)
	}
	if err := r.create(ctx, spec); err != nil {
		return fmt.Errorf("create %s: %w", name, errors.Join(r.kind(err), r.removeBoth(context.WithoutCancel(ctx), name)))
	}
	r.signal()
	return nil
}

func (r *Runtime) create(ctx context.Context, spec runtime.Spec) error {
	if err := r.removeBoth(ctx, spec.Application.Name); err != nil {
		return err
	}
	if err := r.EnsureImage(ctx, spec.Application.Image); err != nil {
		return err
	}
	own, err := r.ownVolumes(ctx, spec.Application)
	if err != nil {
		return err
	}
	image, err := r.sandboxImage()
	if err != nil {
		return fmt.Errorf("make the image of sandboxes: %w", err)
	}
	endpoints, err := chooseEndpoints(spec)
	if err != nil {
		return err
	}
	sandbox, err := r.sandbox(spec, image, endpoints)
	if err != nil {
		return err
	}
	if _, err := r.engine.ContainerCreate(ctx, sandbox); err != nil {
		return err
	}
	if err := r.startSandbox(ctx, spec.Application.Name); err != nil {
		return err
	}
	application := r.application(spec, endpoints, own)
	if _, application.Config.Image, err = r.inspect(ctx, spec.Application.Image); err != nil {
		return err
	}
	_, err = r.engine.ContainerCreate(ctx, application)
	return err
}

// startSandbox makes the network of an application ready, if it is not.
func (r *Runtime) startSandbox(ctx context.Context, name cluster.AppName) error {
	_, err := r.engine.ContainerStart(ctx, r.sandboxName(name), client.ContainerStartOptions{})
	return r.kind(err)
}

// Start implements runtime.Runtime.
func (r *Runtime) Start(ctx context.Context, name cluster.AppName) error {
	c, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	if err := r.ended(ctx, c); errors.Is(err, cluster.ErrConflict) {
		return nil // it runs
	} else if err != nil {
		return err
	}
	if err := r.startSandbox(ctx, name); err != nil {
		// After a restart of the engine another program may have its ports. Made again, it gets
		// other ones.
		err = fmt.Errorf("start the network of %s: %w", name, err)
		if errors.Is(err, cluster.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		return errors.Join(err, r.removeBoth(ctx, name))
	}
	if err := mounted(c.HostConfig.Binds); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	if err := r.keep(c.ID, record{Boot: r.boot}); err != nil {
		return err
	}
	if _, err := r.engine.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start %s: %w", name, r.kind(err))
	}
	r.signal()
	return nil
}

// mounted refuses to start an application whose volume is not there: the engine would make an
// empty directory in its place.
func mounted(binds []string) error {
	for _, bind := range binds {
		path, _, _ := strings.Cut(bind, ":")
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w: its volume is not there: %w", cluster.ErrConflict, err)
		}
	}
	return nil
}

// Remove implements runtime.Runtime.
func (r *Runtime) Remove(ctx context.Context, name cluster.AppName) error {
	c, err := r.find(ctx, name)
	switch {
	case errors.Is(err, cluster.ErrNotFound):
	case err != nil:
		return err
	default:
		if err := r.ended(ctx, c); err != nil {
			return err
		}
		r.forget(c.ID)
	}
	if err := r.removeBoth(ctx, name); err != nil {
		return err
	}
	r.signal()
	return nil
}

// ended makes sure that a container does not run, also in the engine's eyes. One that does is
// cluster.ErrConflict.
func (r *Runtime) ended(ctx context.Context, c container.InspectResponse) error {
	switch {
	case !c.State.Running:
		return nil
	case !gone(c.State.Pid):
		return fmt.Errorf("%w: %s is running", cluster.ErrConflict, readLabels(c.Config.Labels).name)
	default:
		return r.waitEnded(ctx, c.ID)
	}
}

// removeBoth removes the application's container, which must not run, and its sandbox. Of its own
// data only that goes with it which may be lost.
func (r *Runtime) removeBoth(ctx context.Context, name cluster.AppName) error {
	left, err := r.carry(ctx, name)
	if err != nil {
		return fmt.Errorf("keep the data of %s: %w", name, err)
	}
	for _, each := range []struct {
		name           string
		force, volumes bool
	}{{r.containerName(name), false, left}, {r.sandboxName(name), true, true}} {
		_, err := r.engine.ContainerRemove(ctx, each.name, client.ContainerRemoveOptions{Force: each.force, RemoveVolumes: each.volumes})
		if err != nil && !errdefs.IsNotFound(err) {
			return r.kind(err)
		}
	}
	return nil
}
