package convergence

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/plan"
)

// attempts are those of moves that began here and ended without the volume having moved.
type attempts struct {
	mu       sync.Mutex
	outcomes map[cluster.MoveID]outcome
}

// An outcome is what became of an attempt that did not succeed.
type outcome struct {
	attempt int
	err     *handoff.Error // nil: how it ended is not known
	// acknowledged: the control service knows of it.
	acknowledged bool
}

// keep forgets the moves that are no longer open.
func (t *attempts) keep(open []cluster.Move) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.outcomes, func(id cluster.MoveID, _ outcome) bool {
		return !slices.ContainsFunc(open, func(m cluster.Move) bool { return m.ID == id })
	})
}

// seen returns the attempts of which the control service is to be told, and those of which it has been.
func (t *attempts) seen() (broken, gaveUp map[cluster.MoveID]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	broken, gaveUp = map[cluster.MoveID]int{}, map[cluster.MoveID]int{}
	for id, o := range t.outcomes {
		if o.acknowledged {
			gaveUp[id] = o.attempt
		} else {
			broken[id] = o.attempt
		}
	}
	return broken, gaveUp
}

// note notes how an attempt ended.
func (t *attempts) note(move cluster.Move, o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outcomes == nil {
		t.outcomes = map[cluster.MoveID]outcome{}
	}
	o.attempt = move.Attempt
	t.outcomes[move.ID] = o
}

// of returns how that attempt ended; nil if that is not known.
func (t *attempts) of(move cluster.Move) *handoff.Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.outcomes[move.ID]; o.attempt == move.Attempt {
		return o.err
	}
	return nil
}

// handOff drives one attempt of a move as its source.
func (a *Agent) handOff(ctx context.Context, s plan.Step) error {
	h, err := a.newHandoff(s.Move)
	if err != nil {
		return err
	}
	defer a.receiver.Ease()
	return a.settle(s.Move, a.leave(s, h.Target, func() error {
		if err := a.mayLeave(ctx, h.Application); err != nil {
			return err
		}
		return h.Run(ctx)
	}))
}

// resolve finds out what became of a commit that was asked for before a restart.
func (a *Agent) resolve(ctx context.Context, s plan.Step) error {
	h, err := a.newHandoff(s.Move)
	if err != nil {
		return err
	}
	return a.settle(s.Move, h.Resolve(ctx, a.journal.Base(s.Volume)))
}

func (a *Agent) newHandoff(move cluster.Move) (*handoff.Handoff, error) {
	assignment, _ := a.heard()
	target, ok := assignment.Peer(move.To)
	if !ok {
		return nil, fmt.Errorf("hand off %s: node %s: %w", move.Volume, move.To, cluster.ErrNotFound)
	}
	app := assignment.User(move.Volume)
	return &handoff.Handoff{Move: move, Target: target, Application: app,
		Wanted: func() cluster.Application {
			now, _ := a.heard()
			return now.User(move.Volume)
		},
		Alone: func(ctx context.Context) (func(), error) {
			return a.executor.Hold(ctx, plan.CopyLane(move.Volume), errors.New("its volume is leaving"))
		},
		Backend: a.closing(), Runtime: a.Runtime, Transport: a.Transport, Control: a.Control, Journal: a.journal, Options: a.Handoff,
		Log: a.Log.With("move", move.ID, "volume", move.Volume, "app", app.Name)}, nil
}

// settle keeps the outcome of an attempt for the report to the control service, which follows
// once the application runs here again.
func (a *Agent) settle(move cluster.Move, err error) error {
	var failed *handoff.Error
	if !errors.As(err, &failed) {
		return err
	}
	a.Log.Warn("the hand-off did not work out", "move", move.ID, "attempt", move.Attempt, "final", failed.Final, "error", err)
	a.attempts.note(move, outcome{err: failed, acknowledged: failed.Acknowledged})
	return nil
}

// giveUp tells the control service that an attempt ended without a move, and why. By then the application
// runs here again, unless it does not start.
func (a *Agent) giveUp(ctx context.Context, s plan.Step) error {
	assignment, _ := a.heard()
	report := wire.FailureReport{Attempt: s.Move.Attempt, Reason: s.Reason, Final: s.Final, Stats: s.Move.Stats}
	if err := a.attempts.of(s.Move); err != nil {
		report.Final, report.Stats = err.Final, err.Stats
		if !s.Move.Aborting {
			report.Reason = cluster.Told(err, nil)
		}
	}
	report.Reason = cluster.Named(report.Reason, assignment.VolumeNames())
	err := a.Control.Failed(ctx, s.Move.ID, report)
	if err != nil && !errors.Is(err, cluster.ErrStale) && !errors.Is(err, cluster.ErrConflict) && !errors.Is(err, cluster.ErrNotFound) {
		return err
	}
	a.attempts.note(s.Move, outcome{err: a.attempts.of(s.Move), acknowledged: true})
	return nil
}

// stale says why a hand-off is no longer wanted: it is aborted, given up by the control service, or gone; or why
// an image is not.
func stale(s plan.Step, now cluster.Assignment) error {
	if s.Kind == plan.CarryImage && !slices.Contains(now.Drains, cluster.Drain{Application: s.Application, To: s.To}) {
		return errors.New("it is not to run there any more")
	}
	if s.Kind != plan.HandOff {
		return nil
	}
	for _, m := range now.Moves {
		switch {
		case m.ID != s.Move.ID:
		case m.Aborting:
			return errors.New("the move was aborted: " + m.Reason)
		case m.Attempt != s.Move.Attempt:
			return errors.New("the control service gave up this attempt: " + m.Reason)
		default:
			return nil
		}
	}
	return errors.New("the move has ended")
}
