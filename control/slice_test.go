package control

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drover/drover/cluster"
)

// modelOf returns the model of a few values, indexed.
func modelOf(c cluster.Configuration, owners []cluster.Ownership, moves []cluster.Move, left []departure) *model {
	m := newModel()
	for _, a := range c.Applications {
		m.applications.rows[a.Name] = row[cluster.Application]{value: a}
	}
	for _, v := range c.Volumes {
		m.volumes.rows[v.ID] = row[cluster.Volume]{value: v}
	}
	for _, o := range owners {
		m.ownerships.rows[o.Volume] = row[cluster.Ownership]{value: o}
	}
	for _, move := range moves {
		m.moves.rows[move.ID] = row[cluster.Move]{value: move}
	}
	for _, d := range left {
		m.departures.rows[d.Application] = row[departure]{value: d}
	}
	m.nodes.rows["a"] = row[cluster.Node]{value: cluster.Node{ID: "a", Backend: "zfs"}}
	m.index.build(m)
	return m
}

func TestPart(t *testing.T) {
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
	copyOn := func(node cluster.NodeID, id cluster.VolumeID) observed {
		seen := newObserved()
		seen.report(node, []cluster.VolumeState{{Volume: id, UsedBytes: 77}})
		return seen
	}
	owned := []cluster.OwnedVolume{{Volume: cluster.Volume{ID: "v"}, Ownership: owner("a")[0]}}
	used := []cluster.OwnedVolume{{Volume: cluster.Volume{ID: "v"}, Ownership: owner("a")[0], Application: "db"}}
	keeping := newObserved()
	keeping.report("c", []cluster.VolumeState{{Volume: "v", Snapshots: []cluster.Snapshot{{Name: "old", Kept: true}, {Name: "round"}}}})

	tests := []struct {
		name  string
		model *model
		seen  observed
		node  cluster.NodeID
		want  cluster.Slice
	}{
		{"nothing is nothing", modelOf(apps(), nil, nil, nil), observed{}, "a", cluster.Slice{}},
		{"an application runs where its volume's owner is, not where it is wanted",
			modelOf(apps(db), owner("a"), nil, nil), observed{}, "a",
			cluster.Slice{Applications: []cluster.Application{db}, Volumes: used}},
		{"it does not run where it is wanted", modelOf(apps(db), owner("a"), nil, nil), observed{}, "b", cluster.Slice{}},
		{"an application that is placed nowhere does not run, its volume stays",
			modelOf(apps(still), owner("a"), nil, nil), observed{}, "a", cluster.Slice{Volumes: used}},
		{"a volume without an owner is nobody's", modelOf(apps(db), nil, nil, nil), observed{}, "b", cluster.Slice{}},
		{"without a volume it runs where it is placed", modelOf(apps(web), nil, nil, nil), observed{}, "b",
			cluster.Slice{Applications: []cluster.Application{web}}},
		{"and goes on where it is leaving", modelOf(apps(web), nil, nil, []departure{{"web", "a"}}), observed{}, "a",
			cluster.Slice{Applications: []cluster.Application{web}}},
		{"a copy of what another owns comes with the record of its owner",
			modelOf(apps(), owner("a"), nil, nil), copyOn("c", "v"), "c", cluster.Slice{Owners: []cluster.ForeignVolume{{Ownership: owner("a")[0]}}}},
		{"and with what it is called, and what users no longer want of it", modelOf(apps(db), owner("a"), nil, nil), keeping, "c",
			cluster.Slice{Owners: []cluster.ForeignVolume{{Ownership: owner("a")[0], Application: "db", Unwanted: []cluster.SnapshotName{"old"}}}}},
		{"the owner is not told so twice", modelOf(apps(), owner("a"), nil, nil), copyOn("a", "v"), "a", cluster.Slice{Volumes: owned}},
		{"without a copy nobody is told", modelOf(apps(), owner("a"), nil, nil), observed{}, "c", cluster.Slice{}},
		{"of a copy that nobody knows nothing is said", modelOf(apps(), owner("a"), nil, nil), copyOn("c", "stray"), "c", cluster.Slice{}},
		{"a copy of a deleted volume is named as such",
			modelOf(apps(), []cluster.Ownership{{Volume: "gone", Owner: "a"}}, nil, nil), copyOn("a", "gone"), "a",
			cluster.Slice{Deleted: []cluster.VolumeID{"gone"}}},
		{"a move is the source's", modelOf(apps(db), owner("a"), []cluster.Move{move(cluster.PhasePrepare)}, nil), observed{}, "a",
			cluster.Slice{Applications: []cluster.Application{db}, Volumes: used, Moves: []cluster.Move{move(cluster.PhasePrepare)}}},
		{"and the target's, with what arrives", modelOf(apps(db), owner("a"), []cluster.Move{move(cluster.PhasePrepare)}, nil), copyOn("a", "v"), "b",
			cluster.Slice{Moves: []cluster.Move{move(cluster.PhasePrepare)},
				Arriving: []cluster.Arrival{{Move: "m", Volume: cluster.Volume{ID: "v"}, Application: &db, NeedBytes: 77, FromBackend: "zfs"}}}},
		{"and nobody else's", modelOf(apps(db), owner("a"), []cluster.Move{move(cluster.PhasePrepare)}, nil), observed{}, "c", cluster.Slice{}},
		{"one that has ended is nobody's", modelOf(apps(), nil, []cluster.Move{move(cluster.PhaseDone)}, nil), observed{}, "b", cluster.Slice{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Node = tt.node
			if diff := cmp.Diff(tt.want, part(tt.model, tt.seen, tt.node), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestListsOfASliceAreNeverNull(t *testing.T) {
	got := part(newModel(), newObserved(), "a")
	if got.Applications == nil || got.Volumes == nil {
		t.Errorf("got %+v: an agent should read [], not null", got)
	}
}
