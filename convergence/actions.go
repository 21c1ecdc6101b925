package convergence

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/internal/fault"
)

// An action does one kind of step. It looks at the world and does what is missing.
type action func(a *Agent, ctx context.Context, s plan.Step) error

// actions is the one table of what each kind of step does.
var actions = map[plan.Kind]action{
	plan.CreateVolume: (*Agent).createVolume,
	plan.RestoreVolume: func(a *Agent, ctx context.Context, s plan.Step) error {
		return a.Backend.Restore(ctx, s.Volume, s.Epoch)
	},
	plan.RollbackVolume: (*Agent).rollbackVolume,
	plan.LabelVolume:    (*Agent).labelVolume,
	plan.OpenVolume:     (*Agent).openVolume,
	plan.ResizeVolume: func(a *Agent, ctx context.Context, s plan.Step) error {
		return a.Backend.Resize(ctx, s.Volume, s.Limit)
	},
	plan.Snapshot:       (*Agent).snapshot,
	plan.DropSnapshot:   func(a *Agent, ctx context.Context, s plan.Step) error { return a.Backend.Drop(ctx, s.Volume, s.Name) },
	plan.CreateInstance: func(a *Agent, ctx context.Context, s plan.Step) error { return a.Runtime.Create(ctx, s.Spec) },
	plan.StartInstance:  (*Agent).startInstance,
	plan.StopInstance:   (*Agent).stopInstance,
	plan.RemoveInstance: (*Agent).removeInstance,
	plan.CloseVolume:    (*Agent).closeVolume,
	plan.DemoteVolume:   (*Agent).demoteVolume,
	plan.RemoveVolume:   func(a *Agent, ctx context.Context, s plan.Step) error { return a.Backend.Remove(ctx, s.Volume) },
	plan.GetReady:       (*Agent).getReady,
	plan.HandOff:        (*Agent).handOff,
	plan.GiveUp:         (*Agent).giveUp,
	plan.Resolve:        (*Agent).resolve,
}

func (a *Agent) startInstance(ctx context.Context, s plan.Step) error {
	a.restarting(s.Application)
	fault.Point("promote.start")
	return a.Runtime.Start(ctx, s.Application)
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
	a.forgetRestarts(s.Application)
	return a.Runtime.Remove(ctx, s.Application)
}

// handOff drives one attempt of a move as its source.
func (a *Agent) handOff(ctx context.Context, s plan.Step) error {
	h, err := a.newHandoff(s.Move)
	if err != nil {
		return err
	}
	return a.settle(s.Move, a.leave(s, h.Target, func() error { return h.Run(ctx) }))
}

// resolve finds out what became of a commit that was asked for before a restart.
func (a *Agent) resolve(ctx context.Context, s plan.Step) error {
	h, err := a.newHandoff(s.Move)
	if err != nil {
		return err
	}
	return a.settle(s.Move, h.Resolve(ctx, a.journal.base(s.Volume)))
}

func (a *Agent) newHandoff(move cluster.Move) (*handoff.Handoff, error) {
	a.mu.Lock()
	target, ok := a.slice.Peer(move.To)
	app := a.slice.Application(move.Application)
	a.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("hand off %s: node %s: %w", move.Volume, move.To, cluster.ErrNotFound)
	}
	return &handoff.Handoff{Move: move, Target: target, Application: app, Backend: a.Backend, Runtime: a.Runtime,
		Transport: a.Transport, Control: a.Control, Journal: a.journal, Options: a.Handoff,
		Log: a.Log.With("move", move.ID, "volume", move.Volume, "app", move.Application)}, nil
}

// settle keeps the outcome of an attempt for the report to the control service, which follows
// once the application runs here again.
func (a *Agent) settle(move cluster.Move, err error) error {
	var failed *handoff.Error
	if !errors.As(err, &failed) {
		return err
	}
	a.Log.Warn("the hand-off did not work out", "move", move.ID, "attempt", move.Attempt, "final", failed.Final, "error", err)
	a.mu.Lock()
	defer a.mu.Unlock()
	if failed.Acknowledged {
		a.gaveUp[move.ID] = move.Attempt
		return nil
	}
	a.outcomes[move.ID] = outcome{attempt: move.Attempt, err: failed}
	return nil
}

// brokenAttempts are the attempts of which the control service is to be told. The caller holds mu.
func (a *Agent) brokenAttempts() map[cluster.MoveID]int {
	broken := make(map[cluster.MoveID]int, len(a.outcomes))
	for id, o := range a.outcomes {
		broken[id] = o.attempt
	}
	return broken
}

// giveUp tells the control service that an attempt ended without a move, and why. By then the
// application runs here again: the steps before this one in the lane have seen to it.
func (a *Agent) giveUp(ctx context.Context, s plan.Step) error {
	report := wire.FailureReport{Attempt: s.Move.Attempt, Reason: s.Reason, Figures: s.Move.Figures}
	a.mu.Lock()
	if o, ok := a.outcomes[s.Move.ID]; ok && o.attempt == s.Move.Attempt {
		report.Final, report.Figures = o.err.Final, o.err.Figures
		if !s.Move.Aborting {
			report.Reason = o.err.Error()
		}
	}
	a.mu.Unlock()
	err := a.Control.Failed(ctx, s.Move.ID, report)
	if err != nil && !errors.Is(err, cluster.ErrStale) && !errors.Is(err, cluster.ErrConflict) && !errors.Is(err, cluster.ErrNotFound) {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.outcomes, s.Move.ID)
	a.gaveUp[s.Move.ID] = s.Move.Attempt
	return nil
}

// record reports an event. One that cannot be reported is in the log all the same.
func (a *Agent) record(ctx context.Context, e cluster.Event) {
	e.Node = a.Node.ID
	a.Log.Warn(e.Message, "kind", e.Kind, "app", e.Application, "volume", e.Volume)
	if err := a.Control.Record(ctx, e); err != nil {
		a.Log.Warn("the event was not recorded", "kind", e.Kind, "error", err)
	}
}
