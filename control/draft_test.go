package control

import (
	"testing"

	"github.com/drover/drover/cluster"
)

// What a write depends on keeps two services on one store from acting on what is no longer so.
func TestWhatAWriteDependsOn(t *testing.T) {
	volume := string(dbVolume)
	tests := []struct {
		name string
		edit func(d *draft)
		want []string
	}{
		{"a move: on the wish, the owner and the lease", func(d *draft) { d.putMove(cluster.Move{ID: "m", Volume: dbVolume}) },
			[]string{"move/m", "volume/" + volume, "ownership/" + volume, "lease/" + volume}},
		{"an owner: on the wish", func(d *draft) { d.putOwnership(cluster.Ownership{Volume: dbVolume, Owner: "b", Epoch: 2}) },
			[]string{"ownership/" + volume, "volume/" + volume}},
		{"a volume: on the whole configuration", func(d *draft) { d.putVolume(cluster.Volume{ID: dbVolume, Name: "x"}) },
			[]string{"volume/" + volume, headKey}},
		{"an application: on the whole configuration", func(d *draft) { d.dropApplication(cluster.Application{Name: "db"}) },
			[]string{"application/db", headKey}},
		{"an event: on the next id being free", func(d *draft) { d.event(cluster.Event{Kind: "x"}) },
			[]string{eventKey(6)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				l.writing.Lock()
				defer l.writing.Unlock()
				d := l.newDraft()
				tt.edit(d)
				b, err := d.batch()
				l.ok(err)
				all, _ := records(t, l.store)
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

func TestTheIndexFollowsASwapOfVolumes(t *testing.T) {
	app := func(name cluster.AppName, id cluster.VolumeID) *cluster.Application {
		return &cluster.Application{Name: name, Volume: &cluster.Attachment{Volume: id}}
	}
	for _, xFirst := range []bool{true, false} {
		i := newIndex()
		i.application(nil, app("x", "1"))
		i.application(nil, app("y", "2"))
		swap := []func(){
			func() { i.application(app("x", "1"), app("x", "2")) },
			func() { i.application(app("y", "2"), app("y", "1")) },
		}
		if !xFirst {
			swap[0], swap[1] = swap[1], swap[0]
		}
		for _, change := range swap {
			change()
		}
		if i.users["1"] != "y" || i.users["2"] != "x" {
			t.Errorf("x first %t: after the swap the users are %v", xFirst, i.users)
		}
	}
}
