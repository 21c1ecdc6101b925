package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
)

const (
	a    cluster.NodeID   = "a"
	b    cluster.NodeID   = "b"
	data cluster.VolumeID = "data"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A world is a slice and what the node observes; its methods add to it.
type world struct {
	slice cluster.Slice
	seen  plan.Observed
}

func on(node cluster.NodeID) *world {
	return &world{
		slice: cluster.Slice{Node: node, Nodes: []cluster.Node{{ID: a, Name: "a"}, {ID: b, Name: "b"}}},
		seen: plan.Observed{Address: "10.0.0.1", Grace: 24 * time.Hour,
			Path: func(id cluster.VolumeID) string { return "/volumes/" + string(id) }},
	}
}

func db() cluster.Application {
	return cluster.Application{Name: "db", Command: []string{"db"}, Volume: &cluster.Attachment{Volume: data, Mountpoint: "/data"}}
}

func web() cluster.Application { return cluster.Application{Name: "web", Command: []string{"web"}} }

func dbSpec(epoch cluster.Epoch) runtime.Spec {
	return runtime.Spec{Application: db(), Epoch: epoch, VolumePath: "/volumes/data", Address: "10.0.0.1"}
}

func (w *world) wants(apps ...cluster.Application) *world {
	w.slice.Applications = append(w.slice.Applications, apps...)
	return w
}

func (w *world) owns(epoch cluster.Epoch, born bool, base string, wishes ...cluster.SnapshotWish) *world {
	w.slice.Volumes = append(w.slice.Volumes, cluster.OwnedVolume{
		Volume:    cluster.Volume{ID: data, Name: "data", Snapshots: wishes},
		Ownership: cluster.Ownership{Volume: data, Owner: w.slice.Node, Epoch: epoch, Born: born, Base: base}})
	return w
}

// usedBy says which application uses the volume that is owned.
func (w *world) usedBy(app cluster.AppName) *world {
	w.slice.Volumes[len(w.slice.Volumes)-1].Application = app
	return w
}

func (w *world) ownedBy(owner cluster.NodeID, epoch cluster.Epoch) *world {
	w.slice.Owners = append(w.slice.Owners, cluster.ForeignVolume{Name: "data",
		Ownership: cluster.Ownership{Volume: data, Owner: owner, Epoch: epoch, Born: true}})
	return w
}

func (w *world) move(m cluster.Move) *world {
	m.ID, m.Volume, m.Application = "m", data, "db"
	if m.Attempt == 0 {
		m.Attempt = 1
	}
	w.slice.Moves = append(w.slice.Moves, m)
	if m.To == w.slice.Node {
		app := db()
		w.slice.Arriving = append(w.slice.Arriving, cluster.Arrival{Move: "m", Volume: cluster.Volume{ID: data, Name: "data"}, Application: &app})
	}
	return w
}

func (w *world) holds(c volume.Copy) *world {
	c.Volume = data
	w.seen.Copies = append(w.seen.Copies, c)
	return w
}

func (w *world) runs(spec runtime.Spec, change ...func(*runtime.Instance)) *world {
	i := runtime.Instance{Name: spec.Application.Name, Epoch: spec.Epoch, Fingerprint: spec.Fingerprint(), Running: true, Started: now}
	if spec.Application.Volume != nil {
		i.Volume = spec.Application.Volume.Volume
	}
	for _, f := range change {
		f(&i)
	}
	w.seen.Instances = append(w.seen.Instances, i)
	return w
}

func created(i *runtime.Instance) { i.Running, i.Started = false, time.Time{} }
func ended(i *runtime.Instance)   { i.Running, i.Ended = false, now }
func stopped(i *runtime.Instance) { i.Running, i.Ended, i.Asked = false, now, true }

func (w *world) with(f func(*world)) *world { f(w); return w }

func primary(epoch cluster.Epoch) volume.Copy {
	return volume.Copy{Role: cluster.Primary, Epoch: epoch, Open: true}
}

func replica(epoch cluster.Epoch, head string, changed time.Time) volume.Copy {
	return volume.Copy{Role: cluster.Replica, Epoch: epoch, Head: head, Changed: changed,
		Snapshots: []cluster.Snapshot{{Name: "s1", GUID: head}}}
}

func limited(c volume.Copy, bytes int64) volume.Copy {
	c.LimitBytes = bytes
	return c
}

func TestDiff(t *testing.T) {
	restart := func(again bool, at time.Time) func(*world) {
		return func(w *world) {
			w.seen.Restarts = map[cluster.AppName]plan.Restart{"db": {Again: again, At: at, Reason: "it exited"}}
		}
	}
	closed := primary(1)
	closed.Open = false
	unclosed := closed
	unclosed.Unclosed = true
	two := replica(4, "g2", now)
	two.Snapshots = []cluster.Snapshot{{Name: "s1", GUID: "g1"}, {Name: "kept", GUID: "k", Kept: true}, {Name: "s2", GUID: "g2"}}
	snapped := primary(1)
	snapped.Snapshots = []cluster.Snapshot{{Name: "old", GUID: "o", Kept: true}, {Name: "round", GUID: "r"}}

	trash := func(copies ...volume.Copy) func(*world) {
		return func(w *world) {
			for _, c := range copies {
				c.Volume, c.Open = data, false
				w.seen.Trash = append(w.seen.Trash, c)
			}
		}
	}
	goBack := func(epoch cluster.Epoch) func(*world) {
		return func(w *world) {
			w.slice.Volumes[0].Volume.Rollback = &cluster.RollbackWish{ID: "wish", Snapshot: "old", Epoch: epoch}
		}
	}
	tight := func(w *world) { w.seen.Tight = true }
	noEngine := func(w *world) { w.seen.InstancesUnknown = "no engine" }
	alone := func(w *world) { w.slice.Arriving[0].Application = nil }
	unwanted := func(w *world) { w.slice.Owners[0].Unwanted = []cluster.SnapshotName{"kept"} }
	labeled := func(c volume.Copy, l volume.Labels) volume.Copy { c.Labels = &l; return c }

	for _, row := range []struct {
		rule  string
		world *world
		want  string // steps, one lane after another
	}{
		{"new: the first owner creates, opens, starts",
			on(a).wants(db()).owns(1, false, ""),
			"create volume data, open volume data, create application db, start application db"},
		{"new: a copy that is there already is opened, not created",
			on(a).wants(db()).owns(1, false, "").holds(closed),
			"open volume data, create application db, start application db"},
		{"steady: nothing to do",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)), ""},
		{"steady: a change of placement, policy or external port restarts nothing",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(func() runtime.Spec {
				s := dbSpec(1)
				s.Application.Node, s.Application.Restart.Name = "elsewhere", cluster.RestartAlways
				return s
			}()), ""},
		{"missing: an owner without its copy is a conflict, never a create",
			on(a).wants(db()).owns(1, true, ""), "conflict: this node owns volume data (epoch 1) but has no copy of it"},
		{"missing: a later owner is never told to create",
			on(a).wants(db()).owns(3, false, "g"), "conflict: this node owns volume data (epoch 3) but has no copy of it"},
		{"undeleted: the copy comes out of the trash, the newest of the record's epoch",
			on(a).wants(db()).owns(2, true, "").with(trash(primary(1), primary(2))),
			"restore volume data, open volume data, create application db, start application db"},
		{"undeleted: a copy that was never reported comes back too, and is not created anew",
			on(a).owns(1, false, "").with(trash(primary(1))), "restore volume data, open volume data"},
		{"undeleted: neither a replica nor a copy of another epoch will do",
			on(a).owns(2, true, "").with(trash(primary(1), replica(2, "g", now))),
			"conflict: this node owns volume data (epoch 2) but has no copy of it"},
		{"rollback: the copy is closed before, and opened after",
			on(a).owns(1, true, "", cluster.SnapshotWish{Name: "old", Epoch: 1}).holds(snapped).with(goBack(1)),
			"close volume data, roll back volume data@old, open volume data"},
		{"rollback: nothing may use the copy meanwhile",
			on(a).wants(db()).owns(1, true, "", cluster.SnapshotWish{Name: "old", Epoch: 1}).holds(snapped).runs(dbSpec(1)).with(goBack(1)),
			"stop application db, remove application db, close volume data, roll back volume data@old, open volume data, create application db, start application db"},
		{"rollback: what is done is not done again",
			on(a).owns(1, true, "", cluster.SnapshotWish{Name: "old", Epoch: 1}).with(goBack(1)).
				holds(func() volume.Copy { c := snapped; c.Rollback = "wish"; return c }()), ""},
		{"rollback: a wish of an earlier epoch was for another owner",
			on(a).owns(2, true, "").holds(primary(2)).with(goBack(1)), ""},
		{"rollback: without the snapshot it is a conflict, and the volume stays in use",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).with(goBack(1)),
			"conflict: volume data is to go back to snapshot old, which its copy does not hold"},
		{"unseen: without sight of the volumes, only what has none is looked after",
			on(a).wants(db(), web()).owns(1, false, "").runs(dbSpec(1), stopped).with(func(w *world) { w.seen.VolumesUnknown = "the pool is gone" }),
			"create application web, start application web"},
		{"labels: an owner's copy gets the name of its volume and of its application",
			on(a).owns(1, true, "").holds(labeled(primary(1), volume.Labels{Name: "data"})).with(func(w *world) { w.slice.Volumes[0].Application = "db" }),
			"label volume data"},
		{"labels: so does a replica", on(a).ownedBy(b, 2).holds(labeled(replica(2, "g", now), volume.Labels{})), "label volume data, wake in 24h0m0s"},
		{"labels: those that are right stay", on(a).owns(1, true, "").holds(labeled(primary(1), volume.Labels{Name: "data"})), ""},
		{"labels: what is only for show does not hold up a move",
			on(a).wants(db()).owns(1, true, "").holds(labeled(primary(1), volume.Labels{})).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}), "hand off data"},
		{"wrong base: a replica at another snapshot is a conflict",
			on(a).wants(db()).owns(4, true, "g9").holds(replica(3, "g1", now)),
			`conflict: this node owns volume data from snapshot g9 on, but its copy is at "g1"`},
		{"promote: the new owner opens its replica and starts what was created before",
			on(b).wants(db()).owns(4, true, "g1").holds(replica(3, "g1", now)).runs(dbSpec(4), created),
			"open volume data, start application db"},
		{"old slice: a copy of a later epoch is left alone",
			on(a).wants(db()).owns(3, true, "").holds(replica(4, "g1", now)), ""},
		{"changed: another definition replaces the instance",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(func() runtime.Spec {
				s := dbSpec(1)
				s.Application.Command = []string{"old"}
				return s
			}()),
			"stop application db, remove application db, create application db, start application db"},
		{"epoch: an instance of an older epoch ends before the volume is opened for the new one",
			on(a).wants(db()).owns(3, true, "g1").holds(replica(2, "g1", now)).runs(dbSpec(1)),
			"stop application db, remove application db, open volume data, create application db, start application db"},
		{"unplaced: the application stops, the volume stays open",
			on(a).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)),
			"stop application db, remove application db"},
		{"stopped by us: it is started again whatever its restart policy says",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1), stopped),
			"start application db"},
		{"ended by itself: without a policy it stays so",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1), ended), ""},
		{"ended by itself: the policy starts it again when its back-off is over",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1), ended).with(restart(true, now)),
			"start application db"},
		{"ended by itself: not before",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1), ended).with(restart(true, now.Add(time.Second))),
			"wake in 1s"},
		{"leaving: nothing happens before the target is ready",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}), ""},
		{"leaving: the hand-off begins when the target is ready",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}), "hand off data"},
		{"interrupted: the application runs again before the attempt is given up",
			on(a).wants(db()).owns(1, true, "").holds(closed).runs(dbSpec(1), stopped).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhaseFinal}),
			"open volume data, start application db, give up data"},
		{"interrupted: what has been given up is not given up again",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhaseFinal}).
				with(func(w *world) { w.seen.GaveUp = map[cluster.MoveID]int{"m": 1} }), ""},
		{"broken: an attempt that did not begin to ship is given up, not tried again",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}).
				with(func(w *world) { w.seen.Broken = map[cluster.MoveID]int{"m": 1} }), "give up data"},
		{"aborted: it is given up",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true, Aborting: true}), "give up data"},
		{"undecided: nothing is touched before the answer is known",
			on(a).wants(db()).owns(1, true, "").holds(closed).runs(dbSpec(1), stopped).
				with(func(w *world) { w.seen.Undecided = map[cluster.VolumeID]cluster.Move{data: {ID: "m"}} }),
			"resolve move data"},
		{"arriving: the target gets ready",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}), "get ready data"},
		{"arriving: it answers once",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}).
				with(func(w *world) { w.seen.Answered = map[cluster.MoveID]int{"m": 1} }), ""},
		{"arriving: a later attempt is answered anew",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Attempt: 2}).
				with(func(w *world) { w.seen.Answered = map[cluster.MoveID]int{"m": 1} }), "get ready data"},
		{"arriving: once ready it waits, and its instance is not taken for a stray",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrecopy, Ready: true}).runs(dbSpec(2), created), ""},
		{"arriving: only the newest round is kept on a replica, and what users keep",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrecopy, Ready: true}).holds(two),
			"drop snapshot data@s1"},
		{"arriving: a round that came in part may still need the older one",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrecopy, Ready: true}).
				holds(func() volume.Copy { c := two; c.Partial = &volume.Partial{To: "s3"}; return c }()), ""},
		{"moved away: what is left of the owner winds down",
			on(a).ownedBy(b, 2).holds(primary(1)).runs(dbSpec(1)),
			"stop application db, remove application db, close volume data, demote volume data"},
		{"moved away: the copy stays for its grace period",
			on(a).ownedBy(b, 2).holds(replica(2, "g", now.Add(-time.Hour))), "wake in 23h0m0s"},
		{"moved away: then it goes to the trash",
			on(a).ownedBy(b, 2).holds(replica(2, "g", now.Add(-25*time.Hour))), "remove volume data"},
		{"moved away: a snapshot that a user keeps keeps the copy",
			on(a).ownedBy(b, 4).holds(func() volume.Copy { c := two; c.Changed = now.Add(-25 * time.Hour); return c }()),
			"drop snapshot data@s1"},
		{"moved away: unless no user wants it any more",
			on(a).ownedBy(b, 4).holds(func() volume.Copy { c := two; c.Changed = now.Add(-25 * time.Hour); return c }()).with(unwanted),
			"drop snapshot data@s1, drop snapshot data@kept, remove volume data"},
		{"moved back: an old stray instance of a rolled-back target is removed",
			on(b).runs(dbSpec(2), created), "remove application db"},
		{"unknown: a copy that the control service has not spoken of is left alone",
			on(a).holds(primary(1)).runs(dbSpec(1)), ""},
		{"deleted: its user stops first, then it goes to the trash",
			on(a).holds(primary(1)).runs(dbSpec(1)).with(func(w *world) { w.slice.Deleted = []cluster.VolumeID{data} }),
			"stop application db, remove application db, close volume data, remove volume data"},
		{"snapshots: what a user wants is made, what is no longer wanted is dropped, rounds are left alone",
			on(a).owns(1, true, "", cluster.SnapshotWish{Name: "new", Epoch: 1}).holds(snapped),
			"snapshot volume data@new, drop snapshot data@old"},
		{"snapshots: a wish of an earlier epoch is not made again",
			on(a).owns(2, true, "", cluster.SnapshotWish{Name: "new", Epoch: 1}).holds(primary(2)), ""},
		{"limit: another size is set once the application runs",
			on(a).wants(db()).owns(2, true, "").holds(limited(primary(2), 5)).runs(dbSpec(2)),
			"resize volume " + string(data)},
		{"applications out of sight: a volume that one uses is left as it is",
			on(a).wants(db(), web()).owns(2, true, "base").usedBy("db").holds(replica(1, "base", now)).with(noEngine), ""},
		{"applications out of sight: a volume that none uses is opened",
			on(a).wants(web()).owns(2, true, "base").holds(replica(1, "base", now)).with(noEngine),
			"open volume data"},
		{"applications out of sight: no volume leaves, one of an earlier configuration may use it",
			on(a).owns(1, true, "").holds(primary(1)).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}).with(noEngine), ""},
		{"applications out of sight: nor does it go back to a snapshot",
			on(a).owns(1, true, "", cluster.SnapshotWish{Name: "old", Epoch: 1}).holds(snapped).with(goBack(1)).with(noEngine), ""},
		{"applications out of sight: a volume without one may arrive",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}).with(alone).with(noEngine), "get ready data"},
		{"applications out of sight: one with an application waits",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}).with(noEngine), ""},
		{"no volume: it is created and started in a lane of its own",
			on(a).wants(web(), db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)),
			"create application web, start application web"},
		{"short of space: an owner keeps the bases of its rounds without their content, and what users want",
			on(a).owns(1, true, "", cluster.SnapshotWish{Name: "old", Epoch: 1}).holds(snapped).with(tight),
			"drop snapshot data@round"},
		{"short of space: not while the volume is to move",
			on(a).owns(1, true, "", cluster.SnapshotWish{Name: "old", Epoch: 1}).holds(snapped).with(tight).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhaseWaiting}), ""},
		{"power lost: a copy that was open then is closed before it is given up",
			on(a).ownedBy(b, 2).holds(unclosed), "close volume data, demote volume data"},
		{"power lost: and before it is removed",
			on(a).holds(unclosed).with(func(w *world) { w.slice.Deleted = []cluster.VolumeID{data} }), "close volume data, remove volume data"},
		{"power lost: its owner opens it as it is",
			on(a).wants(db()).owns(1, true, "").holds(unclosed), "open volume data, create application db, start application db"},
		{"no volume: what is no longer wanted is stopped",
			on(a).runs(runtime.Spec{Application: web(), Address: "10.0.0.1"}),
			"stop application web, remove application web"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			if diff := cmp.Diff(row.want, describe(plan.Diff(row.world.slice, row.world.seen, now))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func describe(p plan.Plan) string {
	var parts []string
	for _, c := range p.Conflicts {
		parts = append(parts, "conflict: "+c.What)
	}
	for _, lane := range p.Lanes {
		for _, s := range lane.Steps {
			if s.Reason == "" {
				parts = append(parts, "NO REASON:")
			}
			what := string(s.Kind) + " " + s.Subject()
			if s.Name != "" {
				what += "@" + string(s.Name)
			}
			parts = append(parts, what)
		}
	}
	if !p.Wake.IsZero() {
		parts = append(parts, "wake in "+p.Wake.Sub(now).String())
	}
	return strings.Join(parts, ", ")
}
