package records

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

func TestAWriteIsWhatItChanges(t *testing.T) {
	lease := func(id cluster.VolumeID, node cluster.NodeID) cluster.Lease {
		return cluster.Lease{Volume: id, Node: node}
	}
	tests := []struct {
		name   string
		edit   func(o *Table[cluster.VolumeID, cluster.Lease])
		put    []string
		delete []string
		ifs    Guards
	}{
		{"nothing", func(o *Table[cluster.VolumeID, cluster.Lease]) {}, nil, nil, Guards{}},
		{"what is there already is no change", func(o *Table[cluster.VolumeID, cluster.Lease]) { o.Put(lease("old", "a")) }, nil, nil, Guards{}},
		{"a change depends on the record that it changes", func(o *Table[cluster.VolumeID, cluster.Lease]) { o.Put(lease("old", "b")) },
			[]string{"lease/old"}, nil, Guards{"lease/old": 7}},
		{"a new value depends on there being none", func(o *Table[cluster.VolumeID, cluster.Lease]) { o.Put(lease("new", "b")) },
			[]string{"lease/new"}, nil, Guards{"lease/new": 0}},
		{"a change and back is none", func(o *Table[cluster.VolumeID, cluster.Lease]) { o.Put(lease("old", "b")); o.Put(lease("old", "a")) },
			nil, nil, Guards{}},
		{"a deletion", func(o *Table[cluster.VolumeID, cluster.Lease]) { o.Drop("old"); o.Drop("never") },
			nil, []string{"lease/old"}, Guards{"lease/old": 7}},
		{"made and dropped is nothing", func(o *Table[cluster.VolumeID, cluster.Lease]) { o.Put(lease("new", "b")); o.Drop("new") },
			nil, nil, Guards{}},
		{"dropped and made again as it was is nothing", func(o *Table[cluster.VolumeID, cluster.Lease]) { o.Drop("old"); o.Put(lease("old", "a")) },
			nil, nil, Guards{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := New()
			data, err := json.Marshal(lease("old", "a"))
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Leases.load(store.Record{Value: data, Revision: 7}); err != nil {
				t.Fatal(err)
			}
			o := m.Begin().Leases
			tt.edit(o)
			b, conditions := store.Batch{Put: map[string][]byte{}}, Guards{}
			if err := o.stage(&b, conditions); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(Sorted(b.Put), tt.put) || !slices.Equal(b.Delete, tt.delete) {
				t.Errorf("puts %v and deletes %v, want %v and %v", Sorted(b.Put), b.Delete, tt.put, tt.delete)
			}
			if diff := cmp.Diff(tt.ifs, conditions); diff != "" {
				t.Errorf("conditions (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAValueThatCannotBeStoredIsAnError(t *testing.T) {
	base := noun(&Nouns{}, "x", func(v float64) string { return "x" }, nil)
	o := noun(&Nouns{}, "x", func(v float64) string { return "x" }, nil)
	o.over(base)
	if o.Put(math.NaN()) {
		t.Error("it counts as a change")
	}
	if err := o.stage(&store.Batch{Put: map[string][]byte{}}, Guards{}); err == nil {
		t.Error("it was staged")
	}
}

func TestADamagedRecordIsNotSkipped(t *testing.T) {
	for _, noun := range []string{"application", "volume", "lease", "ownership", "move", "node", "route", "departure", "event"} {
		if _, err := Load(map[string]store.Record{noun + "/x": {Value: []byte("{")}}, 1); err == nil {
			t.Errorf("a damaged %s was read as nothing", noun)
		}
	}
	if _, err := Load(map[string]store.Record{"invention/x": {Value: []byte("?")}}, 1); err != nil {
		t.Errorf("a record of a newer version: %v", err)
	}
}

func TestADrainIsReadFromTheRecordsOfTheFirstVersion(t *testing.T) {
	m, err := Load(map[string]store.Record{"departure/web": {Value: []byte(`{"application":"web","node":"a"}`), Revision: 3}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Index.Drained.Has("a", "web") {
		t.Error("the application that leaves a is forgotten")
	}
}
