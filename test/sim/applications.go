package sim

import (
	"context"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	runtimemem "github.com/drover/drover/convergence/runtime/mem"
)

// applications are those of the host as one life of the agent sees them. It implements runtime.Runtime.
type applications struct {
	*runtimemem.Runtime
	life *life
}

func (a applications) Create(ctx context.Context, spec runtime.Spec) error {
	return a.life.act(ctx, "make "+string(spec.Application.Name), func() error { return a.Runtime.Create(ctx, spec) })
}

func (a applications) Start(ctx context.Context, name cluster.AppName) error {
	return a.life.act(ctx, "start "+string(name), func() error {
		if a.life.host.ails("sick", cluster.VolumeIDForName(name)) {
			return errSick
		}
		a.life.host.ended(name, false)
		return a.Runtime.Start(ctx, name)
	})
}

func (a applications) Exec(ctx context.Context, name cluster.AppName, command []string) error {
	return a.life.act(ctx, "exec in "+string(name), func() error {
		if err := a.life.hang(ctx, true); err != nil {
			return err
		}
		return a.Runtime.Exec(ctx, name, command)
	})
}

func (a applications) Stop(ctx context.Context, name cluster.AppName) error {
	return a.life.act(ctx, "stop "+string(name), func() error { return a.Runtime.Stop(ctx, name) })
}

func (a applications) Kill(ctx context.Context, name cluster.AppName) error {
	return a.life.act(ctx, "kill "+string(name), func() error { return a.Runtime.Kill(ctx, name) })
}

func (a applications) Remove(ctx context.Context, name cluster.AppName) error {
	return a.life.act(ctx, "remove "+string(name), func() error {
		a.life.host.ended(name, false)
		return a.Runtime.Remove(ctx, name)
	})
}

// ended notes that an application has ended by itself, or that it is no longer so.
func (h *host) ended(name cluster.AppName, itself bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.down, name)
	if itself {
		h.down[name] = time.Now()
	}
}
