package convergence

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/volume"
)

const longID cluster.VolumeID = "f48139f3-d9bf-4ab0-b537-4212e06f3994"

// A hearing control service notes what it is told.
type hearing struct {
	Control
	events  []cluster.Event
	failed  wire.FailureReport
	refused string
}

func (h *hearing) Record(_ context.Context, e cluster.Event) error {
	h.events = append(h.events, e)
	return nil
}

func (h *hearing) Failed(_ context.Context, _ cluster.MoveID, r wire.FailureReport) error {
	h.failed = r
	return nil
}

func (h *hearing) Ready(_ context.Context, _ cluster.MoveID, r wire.ReadyReport) error {
	h.refused = r.Refused
	return nil
}

// TestPeopleAreToldOfVolumesByTheirNames, wherever what an agent says goes to them; paths stay.
func TestPeopleAreToldOfVolumesByTheirNames(t *testing.T) {
	a, h := newVolumeAgent(t)
	told := &hearing{}
	a.Control = told
	move := cluster.Move{ID: "m", Volume: longID, From: "a", To: "b", Attempt: 1}
	a.setAssignment(cluster.Assignment{Node: "a", Moves: []cluster.Move{move},
		Volumes: []cluster.OwnedVolume{{Volume: cluster.Volume{ID: longID, Name: "ledger"}}}})
	why := fmt.Errorf("send %s@1..2 to b: open /volumes/%s/data/f: permission denied", longID, longID)
	want := fmt.Sprintf("send ledger@1..2 to b: open /volumes/%s/data/f: permission denied", longID)

	if err := h.Create(t.Context(), longID, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	a.executor.Actions[plan.OpenVolume] = func(context.Context, plan.Step) error { return why }
	a.executor.Start(t.Context(), []plan.Lane{{Key: "x", Steps: []plan.Step{{Kind: plan.OpenVolume, Volume: longID}}}}, time.Now())
	a.executor.Wait()
	a.attempts.note(move, outcome{err: handoff.Refused(cluster.WithHint(why, "mend it"))})
	s, _, err := a.state(t.Context())
	if err != nil || len(s.Steps) != 1 || s.Steps[0].Error != want {
		t.Errorf("status: %+v, %v", s.Steps, err)
	}
	a.record(t.Context(), cluster.Event{Kind: "x", Message: why.Error()})
	if len(told.events) != 1 || told.events[0].Message != want {
		t.Errorf("events: %+v", told.events)
	}
	if err := a.giveUp(t.Context(), plan.Step{Kind: plan.GiveUp, Move: move}); err != nil || told.failed.Reason != want+" (mend it)" || !told.failed.Final {
		t.Errorf("the move: %+v, %v", told.failed, err)
	}
}
