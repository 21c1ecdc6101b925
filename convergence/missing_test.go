package convergence

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/volume"
)

// A litter is a backend with copies that come, go and break.
type litter struct {
	volume.Backend
	copies []volume.Copy
}

func (l *litter) Copies(context.Context) ([]volume.Copy, error) { return l.copies, nil }

func (l *litter) Remove(_ context.Context, id cluster.VolumeID) error { l.copies = nil; return nil }

// TestACopyThatGoesOrBreaksIsToldOf without a restart, once, and unless a step of Drover took it away.
func TestACopyThatGoesOrBreaksIsToldOf(t *testing.T) {
	whole := volume.Copy{Volume: longID, Role: cluster.Replica, Epoch: 3, Changed: time.Now()}
	broken := volume.Copy{Volume: longID, Role: cluster.Replica, Warning: "not readable: copy.json: no such file"}
	for _, row := range []struct {
		rule string
		do   func(a *Agent, l *litter)
		want string // of the events
	}{
		{"nothing happens", func(*Agent, *litter) {}, ""},
		{"it is removed by hand", func(_ *Agent, l *litter) { l.copies = nil }, "copy of volume ledger on n is gone"},
		{"its record is gone", func(_ *Agent, l *litter) { l.copies = []volume.Copy{broken} }, "ledger on n is broken: not readable: copy.json"},
		{"its data are gone", func(_ *Agent, l *litter) {
			l.copies = []volume.Copy{{Volume: longID, Role: cluster.Replica, Epoch: 3, Changed: time.Now(), Warning: "it cannot be used: no data", Obstacle: "no data"}}
		}, "ledger on n is broken: it cannot be used: no data"},
		{"an operator accepts it", func(_ *Agent, l *litter) {
			accepted := whole
			accepted.Accepted = &cluster.Accepted{At: time.Now().Add(-time.Hour), Although: "there is no data"}
			l.copies = []volume.Copy{accepted}
		}, "ledger on n is the volume by an operator's word (the file accept), although there is no data"},
		{"a step removes it", func(a *Agent, l *litter) {
			if err := a.removeVolume(t.Context(), plan.Step{Kind: plan.RemoveVolume, Volume: longID}); err != nil {
				t.Error(err)
			}
		}, ""},
		{"it is on its way", func(a *Agent, l *litter) {
			a.setAssignment(cluster.Assignment{Node: "n", Owners: a.told.assignment.Owners, Arriving: []cluster.Arrival{{Move: "m", Volume: cluster.Volume{ID: longID}}}})
			l.copies = nil
		}, ""},
	} {
		t.Run(row.rule, func(t *testing.T) {
			a, h := newVolumeAgent(t)
			told := &hearing{}
			l := &litter{Backend: h, copies: []volume.Copy{whole}}
			a.Node.Name, a.Control, a.Backend, a.Runtime = "n", told, l, aloneHost{}
			if err := a.Start(); err != nil {
				t.Fatal(err)
			}
			a.setAssignment(cluster.Assignment{Node: "n", Owners: []cluster.ForeignVolume{{Ownership: cluster.Ownership{Volume: longID, Owner: "b", Epoch: 9}, Name: "ledger"}}})
			a.pass(t.Context())
			row.do(a, l)
			for range 3 {
				a.pass(t.Context())
			}
			a.telling.Wait()
			a.executor.Wait()
			if row.want == "" && len(told.events) > 0 || row.want != "" && (len(told.events) != 1 || !strings.Contains(told.events[0].Message, row.want)) {
				t.Errorf("told: %+v, want %q", told.events, row.want)
			}
		})
	}
}
