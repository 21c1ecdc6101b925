package assign

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
)

// viewOf returns the view of a few values.
func viewOf(c cluster.Configuration, owners []cluster.Ownership, moves []cluster.Move, left ...records.Drain) view.View {
	m := records.New()
	tx := m.Begin()
	for _, a := range c.Applications {
		tx.Applications.Put(a)
	}
	for _, v := range c.Volumes {
		tx.Volumes.Put(v)
	}
	for _, o := range owners {
		tx.Ownerships.Put(o)
	}
	for _, move := range moves {
		tx.Moves.Put(move)
	}
	for _, d := range left {
		tx.Drains.Put(d)
	}
	tx.Nodes.Put(cluster.Node{ID: "a", Backend: "zfs"})
	m = tx.Outcome(1)
	return view.View{Model: m}
}

func TestWhatANodeGets(t *testing.T) {
	using := func(id cluster.VolumeID) *cluster.Attachment { return &cluster.Attachment{Volume: id} }
	apps := func(list ...cluster.Application) cluster.Configuration {
		c := cluster.Configuration{Applications: map[cluster.AppName]cluster.Application{},
			Volumes: map[cluster.VolumeID]cluster.Volume{"v": {ID: "v"}, "gone": {ID: "gone", Deleted: true}}}
		for _, a := range list {
			c.Applications[a.Name] = a
		}
		return c
	}
	owner := func(node cluster.NodeID) []cluster.Ownership {
		return []cluster.Ownership{{Volume: "v", Owner: node, Epoch: 3}}
	}
	db := cluster.Application{Name: "db", Node: "b", Volume: using("v")}
	still := cluster.Application{Name: "db", Volume: using("v")}
	web := cluster.Application{Name: "web", Node: "b"}
	move := func(phase cluster.Phase) cluster.Move {
		return cluster.Move{ID: "m", Volume: "v", From: "a", To: "b", Phase: phase}
	}
	copyOn := func(node cluster.NodeID, id cluster.VolumeID) *view.Seen {
		seen := &view.Seen{}
		seen.Report(node, []cluster.Copy{{Volume: id, UsedBytes: 77}})
		return seen
	}
	owned := []cluster.OwnedVolume{{Volume: cluster.Volume{ID: "v"}, Ownership: owner("a")[0]}}
	used := []cluster.OwnedVolume{{Volume: cluster.Volume{ID: "v"}, Ownership: owner("a")[0], Application: "db"}}
	keeping := &view.Seen{}
	keeping.Report("c", []cluster.Copy{{Volume: "v", Snapshots: []cluster.Snapshot{{Name: "old", Kept: true}, {Name: "round"}}}})

	tests := []struct {
		name string
		view view.View
		seen *view.Seen
		node cluster.NodeID
		want cluster.Assignment
	}{
		{"nothing is nothing", viewOf(apps(), nil, nil), &view.Seen{}, "a", cluster.Assignment{}},
		{"an application runs where its volume's owner is, not where it is wanted",
			viewOf(apps(db), owner("a"), nil), &view.Seen{}, "a",
			cluster.Assignment{Applications: []cluster.Application{db}, Volumes: used}},
		{"it does not run where it is wanted", viewOf(apps(db), owner("a"), nil), &view.Seen{}, "b", cluster.Assignment{}},
		{"an application that is placed nowhere does not run, its volume stays",
			viewOf(apps(still), owner("a"), nil), &view.Seen{}, "a", cluster.Assignment{Volumes: used}},
		{"a volume without an owner is nobody's", viewOf(apps(db), nil, nil), &view.Seen{}, "b", cluster.Assignment{}},
		{"without a volume it runs where it is placed", viewOf(apps(web), nil, nil), &view.Seen{}, "b",
			cluster.Assignment{Applications: []cluster.Application{web}}},
		{"and goes on where it is leaving", viewOf(apps(web), nil, nil, records.Drain{Application: "web", Node: "a"}), &view.Seen{}, "a",
			cluster.Assignment{Applications: []cluster.Application{web}, Drains: []cluster.Drain{{Application: "web", To: "b"}}}},
		{"which the node where it is placed is told of", viewOf(apps(web), nil, nil, records.Drain{Application: "web", Node: "a"}), &view.Seen{}, "b",
			cluster.Assignment{Applications: []cluster.Application{web}, Arriving: []cluster.Arrival{{Application: &web, From: "a"}}}},
		{"a copy of what another owns comes with the record of its owner",
			viewOf(apps(), owner("a"), nil), copyOn("c", "v"), "c", cluster.Assignment{Owners: []cluster.ForeignVolume{{Ownership: owner("a")[0]}}}},
		{"and with what it is called, and what users no longer want of it", viewOf(apps(db), owner("a"), nil), keeping, "c",
			cluster.Assignment{Owners: []cluster.ForeignVolume{{Ownership: owner("a")[0], Application: "db", Unwanted: []cluster.SnapshotName{"old"}}}}},
		{"the owner is not told so twice", viewOf(apps(), owner("a"), nil), copyOn("a", "v"), "a", cluster.Assignment{Volumes: owned}},
		{"without a copy nobody is told", viewOf(apps(), owner("a"), nil), &view.Seen{}, "c", cluster.Assignment{}},
		{"of a copy that nobody knows nothing is said", viewOf(apps(), owner("a"), nil), copyOn("c", "stray"), "c", cluster.Assignment{}},
		{"a copy of a deleted volume is named as such",
			viewOf(apps(), []cluster.Ownership{{Volume: "gone", Owner: "a"}}, nil), copyOn("a", "gone"), "a",
			cluster.Assignment{Deleted: []cluster.VolumeID{"gone"}}},
		{"a move is the source's", viewOf(apps(db), owner("a"), []cluster.Move{move(cluster.PhasePrepare)}), &view.Seen{}, "a",
			cluster.Assignment{Applications: []cluster.Application{db}, Volumes: used, Moves: []cluster.Move{move(cluster.PhasePrepare)}}},
		{"and the target's, with what arrives", viewOf(apps(db), owner("a"), []cluster.Move{move(cluster.PhasePrepare)}), copyOn("a", "v"), "b",
			cluster.Assignment{Moves: []cluster.Move{move(cluster.PhasePrepare)},
				Arriving: []cluster.Arrival{{Move: "m", Volume: cluster.Volume{ID: "v"}, Application: &db, NeedBytes: 77, FromBackend: "zfs"}}}},
		{"and nobody else's", viewOf(apps(db), owner("a"), []cluster.Move{move(cluster.PhasePrepare)}), &view.Seen{}, "c", cluster.Assignment{}},
		{"one that has ended is nobody's", viewOf(apps(), nil, []cluster.Move{move(cluster.PhaseDone)}), &view.Seen{}, "b", cluster.Assignment{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Node = tt.node
			tt.view.Seen = tt.seen
			if diff := cmp.Diff(tt.want, To(tt.view, tt.node), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestListsOfAnAssignmentAreNeverNull(t *testing.T) {
	got := To(view.View{Model: records.New(), Seen: &view.Seen{}}, "a")
	if got.Applications == nil || got.Volumes == nil {
		t.Errorf("got %+v: an agent should read [], not null", got)
	}
}
