package convergence

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/runtime"
)

// mayLeave refuses to hand off an application that has data here which no volume carries. The
// control service goes by the last report; this goes by what is.
func (a *Agent) mayLeave(ctx context.Context, app cluster.Application) error {
	keeper, ok := a.Runtime.(runtime.Keeper)
	if !ok || app.Name == "" {
		return nil
	}
	kept, err := keeper.Keeps(ctx, app)
	if err != nil {
		return fmt.Errorf("look for data of %s that is in no volume: %w", app.Name, err)
	}
	if err := app.MayLeave(a.Node.Name, kept); errors.Is(err, cluster.ErrRefused) {
		return handoff.Refused(err)
	}
	return nil
}

// setAside lists the data of applications that are in no volume and that nothing uses. Where that cannot
// be seen there is nothing to show: a hand-off looks for itself.
func (a *Agent) setAside(ctx context.Context) []cluster.Kept {
	keeper, ok := a.Runtime.(runtime.Keeper)
	if !ok {
		return nil
	}
	kept, err := keeper.Aside(ctx)
	if err != nil {
		a.Log.Warn("cannot tell what data of applications was set aside", "error", err)
	}
	return kept
}
