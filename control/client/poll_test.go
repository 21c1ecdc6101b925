package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

func TestAssignment(t *testing.T) {
	f := newFixture(t)
	f.service.Set(func(w *apitest.World) { w.Assignment.Revision = 7 })
	assignment, changed, err := f.node.Assignment(t.Context(), apitest.NodeA, 0, 0)
	if err != nil || !changed || assignment.Revision != 7 || assignment.Node != apitest.NodeA {
		t.Errorf("the first: %+v, %v, %v", assignment, changed, err)
	}
	if assignment, changed, err := f.node.Assignment(t.Context(), apitest.NodeA, 7, time.Millisecond); err != nil || changed {
		t.Errorf("no change: %+v, %v, %v", assignment, changed, err)
	}
	go f.service.Set(func(w *apitest.World) { w.Assignment.Revision = 8 })
	if assignment, changed, err := f.node.Assignment(t.Context(), apitest.NodeA, 7, time.Minute); err != nil || !changed || assignment.Revision != 8 {
		t.Errorf("a change: %+v, %v, %v", assignment, changed, err)
	}
}

func TestMove(t *testing.T) {
	f := newFixture(t)
	f.service.Set(func(w *apitest.World) { w.MoveRevision, w.Moves = 7, []cluster.Move{{ID: "m"}} })
	move, revision, err := f.user.Move(t.Context(), "m", 0, 0)
	if err != nil || move.ID != "m" || revision != 7 {
		t.Errorf("the first: %+v, %d, %v", move, revision, err)
	}
	if move, revision, err := f.user.Move(t.Context(), "m", 7, time.Millisecond); err != nil || revision != 7 || move.ID != "" {
		t.Errorf("no change: %+v, %d, %v", move, revision, err)
	}
	if _, _, err := f.user.Move(t.Context(), "other", 0, 0); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("another move: %v, want ErrNotFound", err)
	}
}

func TestEventsWait(t *testing.T) {
	f := newFixture(t)
	if events, err := f.user.Events(t.Context(), 0, time.Millisecond); err != nil || len(events) != 0 {
		t.Errorf("none: %v, %v", events, err)
	}
	go f.service.Set(func(w *apitest.World) { w.Events = []cluster.Event{{ID: 1}, {ID: 2}} })
	if events, err := f.user.Events(t.Context(), 1, time.Minute); err != nil || len(events) != 1 || events[0].ID != 2 {
		t.Errorf("one: %v, %v", events, err)
	}
}

// phase moves the one move of the service on.
func phase(s *apitest.Service, p cluster.Phase) {
	s.Set(func(w *apitest.World) {
		w.MoveRevision++
		w.Moves = []cluster.Move{{ID: "m", Phase: p}}
	})
}

func TestWatchMoveSeesEachChange(t *testing.T) {
	f := newFixture(t)
	phase(f.service, cluster.PhasePrepare)
	after := map[cluster.Phase]cluster.Phase{
		cluster.PhasePrepare: cluster.PhaseHold, cluster.PhaseHold: cluster.PhasePromote, cluster.PhasePromote: cluster.PhaseDone}
	var seen []cluster.Phase
	move, err := f.user.WatchMove(t.Context(), "m", func(m cluster.Move) {
		seen = append(seen, m.Phase)
		if next, ok := after[m.Phase]; ok {
			phase(f.service, next)
		}
	})
	if err != nil || move.Phase != cluster.PhaseDone || len(seen) != 4 || seen[3] != cluster.PhaseDone {
		t.Errorf("saw %v, ended with %+v, %v", seen, move, err)
	}
	if _, err := f.user.WatchMove(t.Context(), "other", func(cluster.Move) {}); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("another move: %v, want ErrNotFound", err)
	}
}

func TestAWatchOutlastsAShortAbsence(t *testing.T) {
	f := newFixture(t)
	phase(f.service, cluster.PhaseHold)
	move, err := f.user.WatchMove(t.Context(), "m", func(m cluster.Move) {
		if m.Phase.Ended() {
			return
		}
		f.service.Set(func(w *apitest.World) { w.Err = cluster.ErrUnavailable })
		time.AfterFunc(100*time.Millisecond, func() {
			f.service.Set(func(w *apitest.World) { w.Err = nil })
			phase(f.service, cluster.PhaseRolledBack)
		})
	})
	if err != nil || move.Phase != cluster.PhaseRolledBack {
		t.Errorf("ended with %+v, %v", move, err)
	}
}

func TestWaitConverged(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	f.service.Set(func(w *apitest.World) { w.Revision = 9 })
	status, err := f.user.WaitConverged(ctx, nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a cluster that does not converge: %+v, %v", status, err)
	}
	time.AfterFunc(10*time.Millisecond, func() {
		f.service.Set(func(w *apitest.World) { w.Status = wire.Status{Converged: true} })
	})
	if status, err := f.user.WaitConverged(t.Context(), nil); err != nil || !status.Converged {
		t.Errorf("a cluster that does: %+v, %v", status, err)
	}
	f.service.Set(func(w *apitest.World) { w.Panic = "a bug" })
	if _, err := f.user.WaitConverged(t.Context(), nil); err == nil || errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a service at fault: %v", err)
	}
}
