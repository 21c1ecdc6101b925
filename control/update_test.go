package control

import (
	"context"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/store"
)

// What a write depends on keeps two services on one store from acting on what is no longer so.
func TestWhatAWriteDependsOn(t *testing.T) {
	volume := string(dbVolume)
	tests := []struct {
		name string
		edit func(w *rules.Write)
		want []string
	}{
		{"a move: on the wish, the owner and the lease", func(w *rules.Write) { w.PutMove(cluster.Move{ID: "m", Volume: dbVolume}) },
			[]string{"move/m", "volume/" + volume, "ownership/" + volume, "lease/" + volume}},
		{"an owner: on the wish", func(w *rules.Write) { w.PutOwnership(cluster.Ownership{Volume: dbVolume, Owner: "b", Epoch: 2}) },
			[]string{"ownership/" + volume, "volume/" + volume}},
		{"a volume: on the whole configuration", func(w *rules.Write) { w.SetVolume(cluster.Volume{ID: dbVolume, Name: "x"}) },
			[]string{"volume/" + volume, "configuration"}},
		{"an application: on the whole configuration", func(w *rules.Write) { w.Applications.Drop("db") },
			[]string{"application/db", "configuration"}},
		{"an event: on the next id being free", func(w *rules.Write) { w.Tell(cluster.Event{Kind: "x"}) },
			[]string{"event/00000000000000000006"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				l.mu.Lock()
				defer l.mu.Unlock()
				w := rules.Begin(l.view())
				tt.edit(w)
				b, err := w.Batch()
				l.ok(err)
				all, _ := stored(t, l.store)
				conditions := map[string]cluster.Revision{}
				for _, c := range b.If {
					conditions[c.Key] = c.Revision
				}
				for _, key := range tt.want {
					if rev, ok := conditions[key]; !ok || rev != all[key].Revision {
						t.Errorf("it depends on %v, want %s at %d", conditions, key, all[key].Revision)
					}
				}
				if len(conditions) != len(tt.want) {
					t.Errorf("it depends on %v, want %v", conditions, tt.want)
				}
			})
		})
	}
}

// stored returns what a store holds.
func stored(t reporter, s store.Store) (map[string]store.Record, cluster.Revision) {
	t.Helper()
	all, rev, err := s.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return all, rev
}
