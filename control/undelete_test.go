package control

import (
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// TestUndeleteOfWhatIsGoneIsRefused: by what the owner says of its trash, and with when it went.
func TestUndeleteOfWhatIsGoneIsRefused(t *testing.T) {
	for _, row := range []struct {
		rule       string
		trash      []cluster.VolumeID // nil: it does not say
		after      time.Duration
		unreadable []cluster.VolumeID
		elsewhere  []cluster.TrashReplica // what b says
		words      []string               // of a refusal; nil: it comes back
	}{
		{"what is in the trash comes back", []cluster.VolumeID{dbVolume}, time.Minute, nil, nil, nil},
		{"unknown is never none", nil, time.Hour, nil, nil, nil},
		// Between two looks of the housekeeping: at the next one the volume is forgotten.
		{"past its time", []cluster.VolumeID{}, 20*time.Minute + 100*time.Millisecond, nil, nil, []string{"deleted at 2000-01-01", "trash of node-a", "kept there until 2000-01-01 00:1", "drover volume create db"}},
		{"emptied by hand", []cluster.VolumeID{logVolume}, time.Minute, nil, nil, []string{"trash of node-a", "somebody has emptied it"}},
		{"there, and not readable", []cluster.VolumeID{}, time.Minute, []cluster.VolumeID{dbVolume}, nil, []string{"trash of node-a", "cannot be read", "the agent's log there"}},
		{"not readable, and another node has a copy", []cluster.VolumeID{}, time.Minute, []cluster.VolumeID{dbVolume},
			[]cluster.TrashReplica{{Volume: logVolume}, {Volume: dbVolume, Head: "older"}}, []string{"cannot be used", "a copy is in the trash of node-b, of another time", string(dbVolume)}},
		{"gone, and another node has a copy", []cluster.VolumeID{}, time.Minute, nil,
			[]cluster.TrashReplica{{Volume: dbVolume}}, []string{"a copy is in the trash of node-b"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				a := l.host("a")
				l.ok(l.Register(l.ctx, cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.a", Era: a.state.Era, TrashGrace: 10 * time.Minute}))
				l.configure(func(c *cluster.Configuration) { delete(c.Applications, "db") })
				a.act()
				_, err := l.DeleteVolume(l.ctx, "db")
				l.ok(err)
				a.act()
				time.Sleep(row.after)
				a.state.Volumes, a.state.Trash, a.state.Unreadable = nil, row.trash, row.unreadable
				a.report()
				b := l.host("b")
				b.state.TrashReplicas = row.elsewhere
				b.report()
				_, err = l.UndeleteVolume(l.ctx, "db")
				if row.words == nil {
					l.ok(err)
					return
				}
				l.wantRefused(err, cluster.ErrRefused, row.words...)
				if strings.Contains(cluster.Hint(err), "still there") {
					t.Errorf("nobody knows that: %s", cluster.Hint(err))
				}
				if v, err := l.Volume(string(dbVolume)); err != nil || !v.Volume.Deleted {
					t.Errorf("it is %+v, %v", v.Volume, err)
				}
			})
		})
	}
}

// TestWhatIsDeletedBeforeItIsOpenedCanComeBack: the new owner opens it first, so that it is its own in the trash;
// also if what it reported last is of before the last round. One that cannot open it does not stand in the way.
func TestWhatIsDeletedBeforeItIsOpenedCanComeBack(t *testing.T) {
	for _, row := range []struct {
		reported string
		conflict bool
		opens    bool
	}{
		{reported: "guid", opens: true},
		{reported: "guid", conflict: true, opens: true},
		{reported: "an earlier round", opens: true},
		{reported: "another history", conflict: true, opens: false},
	} {
		inLab(t, func(t *testing.T, l *lab) {
			l.runDatabase()
			l.bring(cluster.PhasePromote)
			b := l.host("b")
			b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: row.reported}}
			b.report()
			l.configure(func(c *cluster.Configuration) {
				v := c.Volumes[dbVolume]
				v.Deleted = true
				c.Volumes[dbVolume] = v
				delete(c.Applications, "db")
			})
			b.assignment()
			if row.conflict {
				b.state.Conflicts = []cluster.Conflict{{Volume: dbVolume, What: "its copy is at another snapshot"}}
				b.report()
			}
			if told := b.assignment(); len(told.Volumes) == 1 != row.opens || len(told.Deleted) == 0 != row.opens {
				t.Fatalf("%+v: b is told of %+v, and to delete %v", row, told.Volumes, told.Deleted)
			}
			if !row.opens {
				return
			}
			b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 2, Open: true}}
			b.report()
			if told := b.assignment(); len(told.Volumes) != 0 || len(told.Deleted) != 1 {
				t.Errorf("then b is told of %+v, and to delete %v", told.Volumes, told.Deleted)
			}
		})
	}
}

// TestWhatWasNeverMadeCanComeBack: then it is made.
func TestWhatWasNeverMadeCanComeBack(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(database("a"))
		l.configure(func(c *cluster.Configuration) { delete(c.Applications, "db") })
		_, err := l.DeleteVolume(l.ctx, "db")
		l.ok(err)
		l.host("a").state.Trash = []cluster.VolumeID{}
		l.host("a").report()
		_, err = l.UndeleteVolume(l.ctx, "db")
		l.ok(err)
	})
}
