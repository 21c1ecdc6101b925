package convergence

import (
	"slices"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/volume/mem"
)

// TestAVolumeThatWasMadeHereIsNotMadeAnew though the control service never heard that it was, and its files are
// gone: it is lost, which is told, and what was written to it does not look as if it had never been there.
func TestAVolumeThatWasMadeHereIsNotMadeAnew(t *testing.T) {
	a, h := newVolumeAgent(t)
	create, open := plan.Step{Kind: plan.CreateVolume, Volume: data}, plan.Step{Kind: plan.OpenVolume, Volume: data, Epoch: 1}
	owned := cluster.Assignment{Node: "a", Revision: 1, Volumes: []cluster.OwnedVolume{
		{Volume: cluster.Volume{ID: data, Name: "db"}, Ownership: cluster.Ownership{Volume: data, Owner: "a", Epoch: 1}}}}
	steps := func() (kinds []plan.Kind, conflicts int) {
		t.Helper()
		seen, err := a.observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p := plan.Diff(owned, seen, time.Now())
		for _, lane := range p.Lanes {
			for _, s := range lane.Steps {
				kinds = append(kinds, s.Kind)
			}
		}
		return kinds, len(p.Conflicts)
	}
	if kinds, _ := steps(); !slices.Contains(kinds, plan.CreateVolume) {
		t.Fatalf("a new volume: %v", kinds)
	}
	if err := a.createVolume(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	h.Backend = mem.New()
	if kinds, conflicts := steps(); !slices.Contains(kinds, plan.CreateVolume) || conflicts > 0 {
		t.Errorf("one that nobody has opened yet: %v", kinds)
	}
	if err := a.createVolume(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	if err := a.openVolume(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	h.Backend = mem.New()
	again := &Agent{Node: a.Node, Backend: h, Runtime: a.Runtime, Dir: a.Dir, Log: a.Log, Routes: a.Routes}
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	a = again
	if kinds, conflicts := steps(); slices.Contains(kinds, plan.CreateVolume) || conflicts != 1 {
		t.Errorf("one whose files are gone: %v and %d conflicts", kinds, conflicts)
	}
	a.setAssignment(owned)
	if said, _, err := a.state(t.Context()); err != nil || !slices.Equal(said.Made, []cluster.VolumeID{data}) {
		t.Errorf("of it is said %v, %v", said.Made, err)
	}
}

// TestWhatWasMadeIsForgotten once the node has nothing to do with it, and not before.
func TestWhatWasMadeIsForgotten(t *testing.T) {
	m := &made{}
	if err := m.open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	owns := func(o cluster.Ownership) cluster.Assignment {
		return cluster.Assignment{Volumes: []cluster.OwnedVolume{{Volume: cluster.Volume{ID: data}, Ownership: o}}}
	}
	for _, row := range []struct {
		rule string
		told cluster.Assignment
		want bool
	}{
		{"one that is new was not made yet", owns(cluster.Ownership{Epoch: 1}), false},
		{"one that was received was", owns(cluster.Ownership{Epoch: 2, Created: true}), true},
		{"a record that went back takes nothing back", owns(cluster.Ownership{Epoch: 1}), true},
		{"nor one that may have", cluster.Assignment{Recovering: true}, true},
		{"nor that the node was removed", cluster.Assignment{Removed: true}, true},
		{"it moved away, and a copy is still here", cluster.Assignment{Owners: []cluster.ForeignVolume{{Ownership: cluster.Ownership{Volume: data}}}}, true},
		{"nothing of it is here", cluster.Assignment{}, false},
	} {
		if err := m.keep(func() cluster.Assignment { return row.told }); err != nil {
			t.Fatal(err)
		}
		again := &made{}
		if err := again.open(m.dir); err != nil {
			t.Fatal(err)
		}
		if is := slices.Contains(again.all(), data); is != row.want {
			t.Errorf("%s: it is noted: %t", row.rule, is)
		}
	}
}

// TestWhatIsMadeMeanwhileIsNotForgotten: what is kept goes by the newest assignment, and nothing is noted between the look at
// it and what follows. One that is yet being written to disk knows nothing of a volume that a later one gave the node.
func TestWhatIsMadeMeanwhileIsNotForgotten(t *testing.T) {
	m := &made{}
	if err := m.open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if err := m.keep(func() cluster.Assignment {
		if m.mu.TryLock() {
			m.mu.Unlock()
			t.Error("a volume can be noted after the look at the assignment, and before what that lacks is forgotten")
		}
		return cluster.Assignment{}
	}); err != nil {
		t.Fatal(err)
	}
}
