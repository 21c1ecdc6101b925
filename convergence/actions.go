package convergence

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/executor"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/internal/fault"
)

// actions is the one table of what each kind of step does.
func (a *Agent) actions() map[plan.Kind]executor.Action {
	return map[plan.Kind]executor.Action{
		plan.CreateVolume:   a.createVolume,
		plan.RestoreVolume:  a.restoreVolume,
		plan.RollbackVolume: a.rollbackVolume,
		plan.LabelVolume:    a.labelVolume,
		plan.OpenVolume:     a.openVolume,
		plan.ResizeVolume:   a.resizeVolume,
		plan.Snapshot:       a.snapshot,
		plan.DropSnapshot:   func(ctx context.Context, s plan.Step) error { return a.Backend.Drop(ctx, s.Volume, s.Name) },
		plan.CheckInstance:  a.checkInstance,
		plan.CarryImage:     a.carryImage,
		plan.CreateInstance: func(ctx context.Context, s plan.Step) error { return a.receiver.Create(ctx, s.Spec) },
		plan.StartInstance:  a.startInstance,
		plan.StopInstance:   a.stopInstance,
		plan.RemoveInstance: a.removeInstance,
		plan.CloseVolume:    a.closeVolume,
		plan.DemoteVolume:   a.demoteVolume,
		plan.RemoveVolume:   a.removeVolume,
		plan.GetReady:       a.receiver.GetReady,
		plan.HandOff:        a.handOff,
		plan.GiveUp:         a.giveUp,
		plan.Resolve:        a.resolve,
	}
}

func (a *Agent) startInstance(ctx context.Context, s plan.Step) error {
	fault.Point("promote.start")
	if err := a.Runtime.Start(ctx, s.Application); err != nil {
		return err
	}
	a.restarts.starts(s.Application)
	return nil
}

// stopInstance stops what is no longer wanted here. Unlike a move, it has no way back, so an
// application that ignores its stop signal is killed in the end, and an event says so.
func (a *Agent) stopInstance(ctx context.Context, s plan.Step) error {
	err := a.Runtime.Stop(ctx, s.Application)
	if !errors.Is(err, runtime.ErrStillRunning) {
		return err
	}
	a.record(ctx, cluster.Event{Kind: "killed", Application: s.Application, Volume: s.Volume,
		Message: fmt.Sprintf("%s ignored its stop signal and is killed on %s: %s", s.Application, a.Node.Name, s.Reason)})
	return a.Runtime.Kill(ctx, s.Application)
}

func (a *Agent) removeInstance(ctx context.Context, s plan.Step) error {
	a.restarts.forget(s.Application)
	return a.Runtime.Remove(ctx, s.Application)
}
