package sim

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/drover/drover/cluster"
	ctl "github.com/drover/drover/control"
	"github.com/drover/drover/control/wire"
)

// A link is how one life of an agent reaches the control service. It implements convergence.Control.
type link struct{ *life }

func (l link) ask(ctx context.Context, what string, call func(context.Context, *ctl.Service) error) error {
	return l.act(ctx, what, func() error {
		return l.host.world.service.ask(wire.WithInstance(ctx, l.name), l.host.name, what, call)
	})
}

func (l link) Register(ctx context.Context, n cluster.Node) error {
	return l.ask(ctx, "register", func(ctx context.Context, s *ctl.Service) error { return s.Register(ctx, n) })
}

// Assignment asks for what changed since the assignment that this life was told last, as the client does.
func (l link) Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision, wait time.Duration) (a cluster.Assignment, changed bool, err error) {
	if since == 0 || since != l.told.Revision {
		l.told = cluster.Assignment{}
	}
	told := l.told
	err = l.host.world.service.ask(wire.WithInstance(ctx, l.name), l.host.name, "assignment", func(ctx context.Context, s *ctl.Service) error {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		var err error
		if told.Revision == 0 {
			a, err = s.Assignment(ctx, node, since)
		} else {
			var changes wire.AssignmentChanges
			if changes, err = s.AssignmentChanges(ctx, node, since); err == nil {
				a, err = changes.Onto(told)
			}
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		changed = err == nil
		return err
	})
	if err == nil && l.dead() {
		err = errCrashed
	}
	if changed && err == nil {
		l.told = a
	}
	return a, changed && err == nil, err
}

func (l link) Report(ctx context.Context, state cluster.NodeState) error {
	return l.ask(ctx, "report", func(ctx context.Context, s *ctl.Service) error { return s.Report(ctx, state) })
}

func (l link) Heartbeat(ctx context.Context, node cluster.NodeID, b wire.Heartbeat) error {
	return l.ask(ctx, "heartbeat", func(ctx context.Context, s *ctl.Service) error { return s.Heartbeat(ctx, node, b) })
}

func (l link) Ready(ctx context.Context, id cluster.MoveID, r wire.ReadyReport) error {
	return l.ask(ctx, "ready "+string(id[:4]), func(ctx context.Context, s *ctl.Service) error { return s.Ready(ctx, l.host.id, id, r) })
}

func (l link) Progress(ctx context.Context, id cluster.MoveID, r wire.ProgressReport) error {
	return l.ask(ctx, "progress "+string(id[:4]), func(ctx context.Context, s *ctl.Service) error { return s.Progress(ctx, l.host.id, id, r) })
}

func (l link) Hold(ctx context.Context, id cluster.MoveID, r wire.AttemptRequest) (result wire.HoldResult, err error) {
	err = l.ask(ctx, "hold "+string(id[:4]), func(ctx context.Context, s *ctl.Service) error {
		result, err = s.Hold(ctx, l.host.id, id, r)
		return err
	})
	return result, err
}

func (l link) Commit(ctx context.Context, id cluster.MoveID, r wire.CommitRequest) (o cluster.Ownership, err error) {
	err = l.ask(ctx, "commit "+string(id[:4]), func(ctx context.Context, s *ctl.Service) error {
		before, _, _ := s.Move(ctx, id, 0)
		o, err = s.Commit(ctx, l.host.id, id, r)
		if err == nil && !before.Happened() {
			l.host.world.service.inTouch(o.Owner)
		}
		return err
	})
	return o, err
}

func (l link) Failed(ctx context.Context, id cluster.MoveID, r wire.FailureReport) error {
	return l.ask(ctx, "failed "+string(id[:4]), func(ctx context.Context, s *ctl.Service) error { return s.Failed(ctx, l.host.id, id, r) })
}

func (l link) Record(ctx context.Context, e cluster.Event) error {
	return l.ask(ctx, "event", func(ctx context.Context, s *ctl.Service) error { return s.Record(ctx, e) })
}

// AnswerLogs is never asked for: nobody reads logs here.
func (l link) AnswerLogs(context.Context, cluster.NodeID, cluster.LogID, io.ReadCloser) error {
	return errors.ErrUnsupported
}
