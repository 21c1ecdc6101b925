package convergence

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/volume"
)

// getReady checks that a volume and its application can arrive here, does all that can be done
// before they do, and tells the control service. Whatever is wrong is found here, while nothing
// has changed.
func (a *Agent) getReady(ctx context.Context, s plan.Step) error {
	fault.Point("arrive.ready")
	report := wire.ReadyReport{Attempt: s.Move.Attempt}
	switch err := a.admit(ctx, s); {
	case errors.Is(err, cluster.ErrRefused), errors.Is(err, cluster.ErrUnsupported), errors.Is(err, cluster.ErrInvalid):
		report.Refused = err.Error()
	case err != nil:
		return err
	}
	if err := a.Control.Ready(ctx, s.Move.ID, report); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered[s.Move.ID] = s.Move.Attempt
	return nil
}

func (a *Agent) admit(ctx context.Context, s plan.Step) error {
	arrival, ok := a.arrival(s.Move.ID)
	if !ok {
		return fmt.Errorf("move %s: %w in this node's slice", s.Move.ID, cluster.ErrNotFound)
	}
	have := a.Backend.Properties()
	if arrival.FromBackend != have.Name && !(volume.HasFiles(arrival.FromBackend) && volume.HasFiles(have.Name)) {
		return fmt.Errorf("%w: %s stores volumes with %s, the volume comes from a node with %s",
			cluster.ErrRefused, a.Node.Name, have.Name, arrival.FromBackend)
	}
	if err := a.checkSpace(ctx, arrival, have); err != nil {
		return err
	}
	if arrival.Application == nil {
		return nil
	}
	if err := a.Runtime.Check(ctx, s.Spec); err != nil {
		return err
	}
	return a.createArriving(ctx, s.Spec)
}

// headroom is the part of the volume's size that must be free besides: for what is written while
// it is shipped, and for the file system's own records.
const headroom = 20 // one twentieth

func (a *Agent) checkSpace(ctx context.Context, arrival cluster.Arrival, have volume.Properties) error {
	need := arrival.NeedBytes + arrival.NeedBytes/headroom
	held, err := volume.Find(ctx, a.Backend, arrival.Volume.ID)
	switch {
	case err == nil && held.Role == cluster.Replica:
		need = max(need-held.UsedBytes, arrival.NeedBytes/headroom)
	case err != nil && !errors.Is(err, cluster.ErrNotFound):
		return err
	}
	if have.FreeBytes >= need {
		return nil
	}
	return fmt.Errorf("%w: %s has %d MiB free, volume %s needs %d MiB",
		cluster.ErrRefused, a.Node.Name, have.FreeBytes>>20, arrival.Volume.Name, (need+1<<20-1)>>20)
}

func (a *Agent) arrival(id cluster.MoveID) (cluster.Arrival, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, arrival := range a.slice.Arriving {
		if arrival.Move == id {
			return arrival, true
		}
	}
	return cluster.Arrival{}, false
}
