package control

import (
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// replicaOnB gives b a replica of db that is at a snapshot, an hour old.
func (l *lab) replicaOnB() *host {
	b := l.host("b")
	b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: "g",
		Snapshots: []cluster.Snapshot{{Name: "old", GUID: "f"}, {Name: "last", GUID: "g", Created: time.Now().Add(-time.Hour)}}}}
	b.report()
	return b
}

func (l *lab) takeOver(node string) error {
	_, err := l.TakeOverVolume(l.ctx, "db", wire.TakeoverRequest{Node: node})
	return err
}

func TestTakeOverALostCopy(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.replicaOnB()
		a := l.host("a")
		a.state.Volumes, a.state.Applications = nil, nil
		a.report()
		_, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "b"})
		l.wantRefused(err, cluster.ErrConflict, "node-a has lost volume db", "drover volume takeover db NODE")
		l.ok(l.takeOver("node-b"))
		l.wantOwner("b", 2)
		l.wantWish("b")
		v, err := l.Volume("db")
		l.ok(err)
		if v.Ownership.Base != "g" || !v.Ownership.Created {
			t.Errorf("it goes on from %+v", v.Ownership)
		}
		l.wantEvent("taken over", "written in the 1h0m0s since is lost", "node-a has lost its copy")
	})
}

func TestNothingIsTakenFromAnOwnerThatMayHaveIt(t *testing.T) {
	lost := func(_ *lab, a, _ *host) { a.state.Volumes, a.state.Applications = nil, nil }
	for _, row := range []struct {
		rule  string
		setup func(l *lab, a, b *host)
		to    string
		kind  error
		words []string
	}{
		{"it has its copy", func(*lab, *host, *host) {}, "b", cluster.ErrConflict, []string{"node-a has its copy", "drover move db"}},
		{"it is not heard of", func(l *lab, a, b *host) {
			lost(l, a, b)
			a.sleep()
			time.Sleep(10 * time.Minute)
		}, "b", cluster.ErrUnavailable, []string{"not been heard of", "may still have its copy", "drover node rm node-a", "drover node replace node-a"}},
		{"it cannot see its volumes", func(l *lab, a, b *host) {
			lost(l, a, b)
			a.state.VolumesUnknown = "the pool is gone"
		}, "b", cluster.ErrUnavailable, []string{"the pool is gone", "wait until it says"}},
		{"what uses it still runs there", func(_ *lab, a, _ *host) { a.state.Volumes = nil }, "b", cluster.ErrConflict, []string{"still used by db"}},
		{"the other node has none", lost, "c", cluster.ErrRefused, []string{"node-c holds no replica", "node-b"}},
		{"the replica is half of something", func(l *lab, a, b *host) {
			lost(l, a, b)
			b.state.Volumes[0].Head = ""
		}, "b", cluster.ErrConflict, []string{"not at any snapshot"}},
		{"the replica has seen a later owner", func(l *lab, a, b *host) {
			lost(l, a, b)
			b.state.Volumes[0].Epoch = 2
		}, "b", cluster.ErrConflict, []string{"epoch 2"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				b := l.replicaOnB()
				a := l.host("a")
				for i := range a.state.Applications {
					a.state.Applications[i].Volume = dbVolume
				}
				row.setup(l, a, b)
				if !strings.Contains(row.rule, "heard") {
					a.report()
				}
				b.report()
				l.wantRefused(l.takeOver("node-"+row.to), row.kind, row.words...)
				l.wantOwner("a", 1)
			})
		})
	}
}

// TestALossOnArrivalEndsTheMove with what an operator chooses: by itself the target would never serve, and
// the move would stand in the way of each way out.
func TestALossOnArrivalEndsTheMove(t *testing.T) {
	for rule, choose := range map[string]func(l *lab) (owner cluster.NodeID, err error){
		"node-b lost its copy": func(l *lab) (cluster.NodeID, error) { return "a", l.takeOver("node-a") },
		"the volume was deleted": func(l *lab) (cluster.NodeID, error) {
			l.configure(func(c *cluster.Configuration) { delete(c.Applications, "db") })
			_, err := l.DeleteVolume(l.ctx, "db")
			return "", err
		},
	} {
		t.Run(rule, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				m := l.bring(cluster.PhasePromote)
				a, b := l.host("a"), l.host("b")
				a.state.Applications = nil
				a.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 2, Head: "guid",
					Snapshots: []cluster.Snapshot{{Name: "last", GUID: "guid", Created: time.Now()}}}}
				a.report()
				b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: "guid"}}
				b.report()
				_, err := choose(l)
				l.wantRefused(err, cluster.ErrConflict, "promote")
				b.state.Volumes[0].Lost = "it was changed"
				b.state.Seen = b.assignment().Revision
				b.report()
				owner, err := choose(l)
				l.ok(err)
				if owner != "" {
					l.wantOwner(owner, 3)
					l.wantWish(owner)
				}
				if ended, _, err := l.Move(l.ctx, m.ID, 0); err != nil || !ended.Phase.Ended() || !strings.Contains(ended.Reason, rule) {
					t.Errorf("the move ended as %+v, %v", ended, err)
				}
			})
		})
	}
}

// TestATakeoverLosesNoMoreThanItMust: a replica that is behind another one is not taken unless that is said.
func TestATakeoverLosesNoMoreThanItMust(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.replicaOnB()
		a, c := l.host("a"), l.host("c")
		c.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: "h",
			Snapshots: []cluster.Snapshot{{Name: "newer", GUID: "h", Created: time.Now().Add(-time.Minute)}}}}
		c.report()
		a.state.Volumes, a.state.Applications = nil, nil
		a.report()
		l.wantRefused(l.takeOver("node-b"), cluster.ErrRefused, "newer by 59m0s", "drover volume takeover db node-c", "--older")
		_, err := l.TakeOverVolume(l.ctx, "db", wire.TakeoverRequest{Node: "node-b", Older: true})
		l.ok(err)
		l.wantOwner("b", 2)
	})
}

// TestWhatWasCommittedIsTheNewest, whatever the clocks of the nodes say.
func TestWhatWasCommittedIsTheNewest(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.bring(cluster.PhasePromote)
		l.allAct()
		l.wantPhase(cluster.PhaseDone)
		for id, s := range map[cluster.NodeID]cluster.Snapshot{
			"a": {Name: "committed", GUID: "guid", Created: time.Now().Add(-time.Hour)},
			"c": {Name: "older", GUID: "g", Created: time.Now()},
		} {
			h := l.host(id)
			h.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: s.GUID, Snapshots: []cluster.Snapshot{s}}}
			h.report()
		}
		b := l.host("b")
		b.state.Volumes, b.state.Applications = nil, nil
		b.report()
		l.wantRefused(l.takeOver("node-c"), cluster.ErrRefused, "node-a has one that is newer")
		l.ok(l.takeOver("node-a"))
		l.wantOwner("a", 3)
	})
}

// TestACommitStaysOne: the source that asks again after others have gone on is told that it happened, and
// can't take it back.
func TestACommitStaysOne(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePromote)
		b, c := l.host("b"), l.host("c")
		c.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: "guid",
			Snapshots: []cluster.Snapshot{{Name: "last", GUID: "guid", Created: time.Now()}}}}
		c.report()
		b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: "guid", Lost: "it was changed"}}
		b.state.Seen = b.assignment().Revision
		b.report()
		l.ok(l.takeOver("node-c"))
		l.wantOwner("c", 3)
		l.wantEvent("taken over", "nothing is lost")
		o, err := l.Commit(l.ctx, "a", m.ID, wire.CommitRequest{Attempt: 1, Epoch: 1, Base: "guid"})
		if err != nil || o.Owner != "b" || o.Epoch != 2 {
			t.Errorf("asked again it answers %+v, %v", o, err)
		}
		l.wantKind(l.Failed(l.ctx, "a", m.ID, wire.FailureReport{Attempt: 1}), cluster.ErrConflict)
	})
}

// TestALossBeforeTheCommitIsNone: what a target said of the copy that it had before is not of what arrived.
func TestALossBeforeTheCommitIsNone(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		a, b := l.host("a"), l.host("b")
		b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: "older", Lost: "it was changed"}}
		b.report()
		l.bring(cluster.PhasePromote)
		a.state.Applications = nil
		a.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 2, Head: "guid",
			Snapshots: []cluster.Snapshot{{Name: "last", GUID: "guid", Created: time.Now()}}}}
		a.report()
		l.wantRefused(l.takeOver("node-a"), cluster.ErrConflict, "promote", "drover status")
	})
}

// TestAnOwnerThatNeverSaidThatItHadItsCopy has lost it all the same, if it says so.
func TestAnOwnerThatNeverSaidThatItHadItsCopy(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(database("a"))
		a := l.host("a")
		a.report()
		l.wantSaid(l.Status().Pending, "volume db", "has not made it yet")
		a.state.Made = []cluster.VolumeID{dbVolume}
		a.report()
		l.wantSaid(l.Status().Pending, "volume db", "has no copy")
		_, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "b"})
		l.wantRefused(err, cluster.ErrConflict, "copy")
	})
}
