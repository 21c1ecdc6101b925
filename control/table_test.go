package control

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

func TestAnOverlayIsWrittenAsWhatItChanges(t *testing.T) {
	lease := func(id cluster.VolumeID, node cluster.NodeID) cluster.Lease {
		return cluster.Lease{Volume: id, Node: node}
	}
	tests := []struct {
		name   string
		edit   func(o *overlay[cluster.VolumeID, cluster.Lease])
		put    []string
		delete []string
		ifs    map[string]cluster.Revision
	}{
		{"nothing", func(o *overlay[cluster.VolumeID, cluster.Lease]) {}, nil, nil, map[string]cluster.Revision{}},
		{"what is there already is no change", func(o *overlay[cluster.VolumeID, cluster.Lease]) { o.put(lease("old", "a")) }, nil, nil, map[string]cluster.Revision{}},
		{"a change depends on the record that it changes", func(o *overlay[cluster.VolumeID, cluster.Lease]) { o.put(lease("old", "b")) },
			[]string{"lease/old"}, nil, map[string]cluster.Revision{"lease/old": 7}},
		{"a new value depends on there being none", func(o *overlay[cluster.VolumeID, cluster.Lease]) { o.put(lease("new", "b")) },
			[]string{"lease/new"}, nil, map[string]cluster.Revision{"lease/new": 0}},
		{"a change and back is none", func(o *overlay[cluster.VolumeID, cluster.Lease]) { o.put(lease("old", "b")); o.put(lease("old", "a")) },
			nil, nil, map[string]cluster.Revision{}},
		{"a deletion", func(o *overlay[cluster.VolumeID, cluster.Lease]) { o.drop("old"); o.drop("never") },
			nil, []string{"lease/old"}, map[string]cluster.Revision{"lease/old": 7}},
		{"made and dropped is nothing", func(o *overlay[cluster.VolumeID, cluster.Lease]) { o.put(lease("new", "b")); o.drop("new") },
			nil, nil, map[string]cluster.Revision{}},
		{"dropped and made again as it was is nothing", func(o *overlay[cluster.VolumeID, cluster.Lease]) { o.drop("old"); o.put(lease("old", "a")) },
			nil, nil, map[string]cluster.Revision{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			leases := newModel().leases
			data, err := json.Marshal(lease("old", "a"))
			if err != nil {
				t.Fatal(err)
			}
			if err := leases.load(store.Record{Value: data, Revision: 7}); err != nil {
				t.Fatal(err)
			}
			o := newOverlay(leases)
			tt.edit(o)
			b, conditions := store.Batch{Put: map[string][]byte{}}, map[string]cluster.Revision{}
			if err := o.stage(&b, conditions); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(sorted(b.Put), tt.put) || !slices.Equal(b.Delete, tt.delete) {
				t.Errorf("puts %v and deletes %v, want %v and %v", sorted(b.Put), b.Delete, tt.put, tt.delete)
			}
			if diff := cmp.Diff(tt.ifs, conditions); diff != "" {
				t.Errorf("conditions (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAValueThatCannotBeStoredIsAnError(t *testing.T) {
	table := newTable("x", func(v float64) string { return "x" })
	o := newOverlay(table)
	if o.put(math.NaN()) {
		t.Error("it counts as a change")
	}
	if err := o.stage(&store.Batch{Put: map[string][]byte{}}, map[string]cluster.Revision{}); err == nil {
		t.Error("it was staged")
	}
}

func TestADamagedRecordIsNotSkipped(t *testing.T) {
	for _, noun := range []string{"application", "volume", "lease", "ownership", "move", "node", "route", "departure", "event"} {
		if _, err := loadModel(map[string]store.Record{noun + "/x": {Value: []byte("{")}}, 1); err == nil {
			t.Errorf("a damaged %s was read as nothing", noun)
		}
	}
	if _, err := loadModel(map[string]store.Record{"invention/x": {Value: []byte("?")}}, 1); err != nil {
		t.Errorf("a record of a newer version: %v", err)
	}
}

// records returns what a store holds.
func records(t reporter, s store.Store) (map[string]store.Record, cluster.Revision) {
	t.Helper()
	all, rev, err := s.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return all, rev
}
