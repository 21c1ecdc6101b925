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

// A world is an assignment and what the node observes; its methods add to it.
type world struct {
	assignment cluster.Assignment
	seen       plan.Observed
}

func on(node cluster.NodeID) *world {
	return &world{
		assignment: cluster.Assignment{Node: node, Nodes: []cluster.Node{{ID: a, Name: "a"}, {ID: b, Name: "b"}}},
		seen: plan.Observed{Address: "10.0.0.1", Grace: 24 * time.Hour, Aged: now.Add(-24 * time.Hour),
			Path: func(id cluster.VolumeID) string { return "/volumes/" + string(id) }},
	}
}

func db() cluster.Application {
	return cluster.Application{Name: "db", Command: []string{"db"}, Volume: &cluster.Attachment{Volume: data, Mountpoint: "/data"}}
}

func web() cluster.Application { return cluster.Application{Name: "web", Command: []string{"web"}} }

// image is web with an image.
func image() cluster.Application {
	app := web()
	app.Image = "web:1"
	return app
}

func imageSpec() runtime.Spec { return runtime.Spec{Application: image(), Address: "10.0.0.1"} }

func drains(w *world) { w.assignment.Drains = []cluster.Drain{{Application: "web", To: b}} }

func dbSpec(epoch cluster.Epoch) runtime.Spec {
	return runtime.Spec{Application: db(), Epoch: epoch, VolumePath: "/volumes/data", Address: "10.0.0.1"}
}

func (w *world) wants(apps ...cluster.Application) *world {
	w.assignment.Applications = append(w.assignment.Applications, apps...)
	return w
}

func (w *world) owns(epoch cluster.Epoch, created bool, base string, wishes ...cluster.SnapshotRequest) *world {
	w.assignment.Volumes = append(w.assignment.Volumes, cluster.OwnedVolume{
		Volume:    cluster.Volume{ID: data, Name: "data", Snapshots: wishes},
		Ownership: cluster.Ownership{Volume: data, Owner: w.assignment.Node, Epoch: epoch, Created: created, Base: base}})
	return w
}

// usedBy says which application uses the volume that is owned.
func (w *world) usedBy(app cluster.AppName) *world {
	w.assignment.Volumes[len(w.assignment.Volumes)-1].Application = app
	return w
}

func (w *world) ownedBy(owner cluster.NodeID, epoch cluster.Epoch) *world {
	w.assignment.Owners = append(w.assignment.Owners, cluster.ForeignVolume{Name: "data",
		Ownership: cluster.Ownership{Volume: data, Owner: owner, Epoch: epoch, Created: true}})
	return w
}

func (w *world) move(m cluster.Move) *world {
	m.ID, m.Volume, m.Application = "m", data, "db"
	if m.Attempt == 0 {
		m.Attempt = 1
	}
	w.assignment.Moves = append(w.assignment.Moves, m)
	if m.To == w.assignment.Node {
		app := db()
		w.assignment.Arriving = append(w.assignment.Arriving, cluster.Arrival{Move: "m", Volume: cluster.Volume{ID: data, Name: "data"}, Application: &app})
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
	c.MaximumSize = bytes
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
	emptied := primary(1)
	emptied.Lost, emptied.Mend = "data holds nothing", "put the data back"
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
			w.assignment.Volumes[0].Volume.Rollback = &cluster.RollbackRequest{ID: "wish", Snapshot: "old", Epoch: epoch}
		}
	}
	tight := func(w *world) { w.seen.Tight = true }
	noEngine := func(w *world) { w.seen.InstancesUnknown = "no engine" }
	undecided := func(w *world) { w.seen.Undecided = map[cluster.VolumeID]cluster.Move{data: {ID: "m"}} }
	alone := func(w *world) { w.assignment.Arriving[0].Application = nil }
	another := func(w *world) { // a copy of another volume, which moved away just now
		w.assignment.Owners = append(w.assignment.Owners, cluster.ForeignVolume{Ownership: cluster.Ownership{Volume: "other", Owner: b, Epoch: 2}})
		c := replica(2, "g", now)
		c.Volume = "other"
		w.seen.Copies = append(w.seen.Copies, c)
	}
	recovering := func(w *world) { w.assignment.Recovering = true }
	unwanted := func(w *world) { w.assignment.Owners[0].Unwanted = []cluster.SnapshotName{"kept"} }
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
		{"missing: what ran on it is stopped, since it writes to nothing that is kept",
			on(a).wants(db()).owns(1, true, "").runs(dbSpec(1)),
			"conflict: this node owns volume data (epoch 1) but has no copy of it, stop application db, remove application db"},
		{"missing: a move of it is given up",
			on(a).wants(db()).owns(1, true, "").move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}),
			"conflict: this node owns volume data (epoch 1) but has no copy of it, give up data"},
		{"missing: a move that waits is control's to end",
			on(a).owns(1, true, "").move(cluster.Move{From: a, To: b, Phase: cluster.PhaseWaiting}),
			"conflict: this node owns volume data (epoch 1) but has no copy of it"},
		{"broken: an owner's copy that cannot be read is a conflict, and is not opened",
			on(a).wants(db()).owns(1, true, "").holds(volume.Copy{Volume: data, Role: cluster.Replica, Warning: "not readable"}).runs(dbSpec(1)),
			`conflict: this node owns volume data (epoch 1), and its copy cannot be used: not readable, stop application db, remove application db`},
		{"lost: nothing is started on a copy that is open and not the volume any more",
			on(a).wants(db()).owns(1, true, "").holds(emptied), `conflict: this node owns volume data (epoch 1), and its copy cannot be used: data holds nothing`},
		{"lost: what runs on it is stopped",
			on(a).wants(db()).owns(1, true, "").holds(emptied).runs(dbSpec(1)),
			`conflict: this node owns volume data (epoch 1), and its copy cannot be used: data holds nothing, stop application db, remove application db`},
		{"undeleted: the copy comes out of the trash, the newest of the record's epoch",
			on(a).wants(db()).owns(2, true, "").with(trash(primary(1), primary(2))),
			"restore volume data, open volume data, create application db, start application db"},
		{"undeleted: a copy that was never reported comes back too, and is not created anew",
			on(a).owns(1, false, "").with(trash(primary(1))), "restore volume data, open volume data"},
		{"undeleted: neither a replica nor a copy of another epoch will do",
			on(a).owns(2, true, "").with(trash(primary(1), replica(2, "g", now))),
			"conflict: this node owns volume data (epoch 2) but has no copy of it"},
		{"rollback: the copy is closed before, and opened after",
			on(a).owns(1, true, "", cluster.SnapshotRequest{Name: "old", Epoch: 1}).holds(snapped).with(goBack(1)),
			"close volume data, roll back volume data@old, open volume data"},
		{"rollback: nothing may use the copy meanwhile",
			on(a).wants(db()).owns(1, true, "", cluster.SnapshotRequest{Name: "old", Epoch: 1}).holds(snapped).runs(dbSpec(1)).with(goBack(1)),
			"stop application db, remove application db, close volume data, roll back volume data@old, open volume data, create application db, start application db"},
		{"rollback: what is done is not done again",
			on(a).owns(1, true, "", cluster.SnapshotRequest{Name: "old", Epoch: 1}).with(goBack(1)).
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
			on(a).owns(1, true, "").holds(labeled(primary(1), volume.Labels{Name: "data"})).with(func(w *world) { w.assignment.Volumes[0].Application = "db" }),
			"label volume data"},
		{"labels: so does a replica", on(a).ownedBy(b, 2).holds(labeled(replica(2, "g", now), volume.Labels{})), "label volume data"},
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
		{"old assignment: a copy of a later epoch is left alone",
			on(a).wants(db()).owns(3, true, "").holds(replica(4, "g1", now)), ""},
		{"old assignment: so is one that another node owned: it has moved here since",
			on(b).ownedBy(a, 1).holds(primary(2)).runs(dbSpec(2)), ""},
		{"epoch: an instance that was made for an older one is not started",
			on(a).wants(db()).owns(3, true, "").holds(primary(3)).runs(dbSpec(1), created),
			"remove application db, create application db, start application db"},
		{"changed: another definition replaces the instance",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(func() runtime.Spec {
				s := dbSpec(1)
				s.Application.Command = []string{"old"}
				return s
			}()),
			"check application db, stop application db, remove application db, create application db, start application db"},
		{"changed: nothing is checked for one that has ended",
			on(a).wants(web()).runs(runtime.Spec{Application: cluster.Application{Name: "web"}, Address: "10.0.0.1"}, stopped),
			"remove application web, create application web, start application web"},
		{"drained: it runs on, and its image is carried to where it is to run",
			on(a).wants(image()).runs(imageSpec()).with(drains), "carry image web"},
		{"drained: once is enough", on(a).wants(image()).runs(imageSpec()).with(drains).
			with(func(w *world) { w.seen.Carried = map[cluster.AppName]cluster.NodeID{"web": b} }), ""},
		{"drained: another node has nothing of that", on(a).wants(image()).runs(imageSpec()).with(drains).
			with(func(w *world) { w.seen.Carried = map[cluster.AppName]cluster.NodeID{"web": "c"} }), "carry image web"},
		{"drained: what has no image has nothing to carry",
			on(a).wants(web()).runs(runtime.Spec{Application: web(), Address: "10.0.0.1"}).with(drains), ""},
		{"arriving without a volume: it is made and started beside the one that still runs",
			on(b).wants(image()).with(func(w *world) {
				app := image()
				w.assignment.Arriving = []cluster.Arrival{{Application: &app, From: a}}
			}), "create application web, start application web"},
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
		{"ended by itself: and not when something else is due, much later",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1), ended).with(restart(true, now.Add(time.Second))).with(another),
			"wake in 1s"},
		{"leaving: nothing happens before the target is ready",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}), ""},
		{"leaving: the hand-off begins when the target is ready",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}), "hand off data"},
		{"leaving: what is stopped starts where its volume goes, and not here first",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}), "hand off data"},
		{"leaving: nor before the target is ready",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}), ""},
		{"leaving: it starts here while the move waits",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).move(cluster.Move{From: a, To: b, Phase: cluster.PhaseWaiting}),
			"create application db, start application db"},
		{"leaving: it starts here when the move is given up",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true, Aborting: true}),
			"create application db, start application db, give up data"},
		{"interrupted: the application runs again before the attempt is given up",
			on(a).wants(db()).owns(1, true, "").holds(closed).runs(dbSpec(1), stopped).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhaseFinal}),
			"open volume data, start application db, give up data"},
		{"interrupted: what has been given up is not given up again",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhaseFinal}).
				with(func(w *world) { w.seen.GaveUp = map[cluster.MoveID]int{"m": 1} }), ""},
		{"interrupted: the next attempt is begun",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true, Attempt: 2}).
				with(func(w *world) { w.seen.GaveUp = map[cluster.MoveID]int{"m": 1} }), "hand off data"},
		{"broken: an attempt that did not begin to ship is given up, not tried again",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}).
				with(func(w *world) { w.seen.Broken = map[cluster.MoveID]int{"m": 1} }), "give up data"},
		{"aborted: it is given up",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true, Aborting: true}), "give up data"},
		{"crashed while it is shipped: it is started again beside the move",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1), ended).with(restart(true, now)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}), "start application db, hand off data"},
		{"leaving: what is not open yet is opened first",
			on(a).wants(db()).owns(1, true, "").holds(closed).runs(dbSpec(1), stopped).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}), "open volume data, start application db"},
		{"leaving: a snapshot that was asked for before is made before",
			on(a).owns(1, true, "", cluster.SnapshotRequest{Name: "new", Epoch: 1}).holds(primary(1)).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}), "snapshot volume data@new, hand off data"},
		{"undecided: nothing is touched before the answer is known",
			on(a).wants(db()).owns(1, true, "").holds(closed).runs(dbSpec(1), stopped).
				with(undecided),
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
			on(a).ownedBy(b, 2).holds(replica(2, "g", now.Add(-time.Hour))), ""},
		{"moved away: of no copy is known how old it is, whatever the clock shows",
			on(a).ownedBy(b, 2).holds(replica(2, "g", now.Add(-25*time.Hour))).with(func(w *world) { w.seen.Aged = time.Time{} }), ""},
		{"moved away: then it goes to the trash",
			on(a).ownedBy(b, 2).holds(replica(2, "g", now.Add(-25*time.Hour))), "remove volume data"},
		{"moved away: a snapshot that a user keeps keeps the copy",
			on(a).ownedBy(b, 4).holds(func() volume.Copy { c := two; c.Changed = now.Add(-25 * time.Hour); return c }()),
			"drop snapshot data@s1"},
		{"moved away: unless no user wants it any more",
			on(a).ownedBy(b, 4).holds(func() volume.Copy { c := two; c.Changed = now.Add(-25 * time.Hour); return c }()).with(unwanted),
			"drop snapshot data@s1, drop snapshot data@kept"},
		{"moved away: but not the one that the copy is at",
			on(a).ownedBy(b, 4).holds(func() volume.Copy { c := two; c.Head = "k"; c.Snapshots = c.Snapshots[:2]; return c }()).with(unwanted), ""},
		{"recovering: nothing that a user keeps goes, and no copy",
			on(a).ownedBy(b, 4).holds(func() volume.Copy { c := two; c.Changed = now.Add(-25 * time.Hour); return c }()).with(unwanted).with(recovering),
			"drop snapshot data@s1"},
		{"recovering: a copy that came out of the trash keeps its snapshots",
			on(a).owns(1, true, "").holds(func() volume.Copy { c := primary(1); c.Snapshots = two.Snapshots; return c }()).with(recovering), ""},
		{"moved back: an old stray instance of a rolled-back target is removed",
			on(b).runs(dbSpec(2), created), "remove application db"},
		{"unknown: a copy that the control service has not spoken of is left alone",
			on(a).holds(primary(1)).runs(dbSpec(1)), ""},
		{"deleted: its user stops first, then it goes to the trash",
			on(a).holds(primary(1)).runs(dbSpec(1)).with(func(w *world) { w.assignment.Deleted = []cluster.VolumeID{data} }),
			"stop application db, remove application db, close volume data, remove volume data"},
		{"removed: what runs is stopped, what is open is closed, and nothing else happens",
			on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)).runs(runtime.Spec{Application: web()}).
				with(func(w *world) { w.assignment.Removed = true }),
			"stop application db, remove application db, close volume data, stop application web, remove application web"},
		{"removed: what is closed stays", on(a).owns(1, true, "").holds(closed).with(func(w *world) { w.assignment.Removed = true }), ""},
		{"snapshots: what a user wants is made, what is no longer wanted is dropped, rounds are left alone",
			on(a).owns(1, true, "", cluster.SnapshotRequest{Name: "new", Epoch: 1}).holds(snapped),
			"snapshot volume data@new, drop snapshot data@old"},
		{"snapshots: a wish of an earlier epoch is not made again",
			on(a).owns(2, true, "", cluster.SnapshotRequest{Name: "new", Epoch: 1}).holds(primary(2)), ""},
		{"limit: another size is set once the application runs",
			on(a).wants(db()).owns(2, true, "").holds(limited(primary(2), 5)).runs(dbSpec(2)),
			"resize volume " + string(data)},
		{"applications out of sight: a volume that one uses is left as it is",
			on(a).wants(db(), web()).owns(2, true, "base").usedBy("db").holds(replica(1, "base", now)).with(noEngine), ""},
		{"applications out of sight: a volume that none uses is opened",
			on(a).wants(web()).owns(2, true, "base").holds(replica(1, "base", now)).with(noEngine),
			"open volume data"},
		{"applications out of sight: one that may have moved away is not opened",
			on(a).owns(1, true, "").holds(closed).with(noEngine).with(undecided), ""},
		{"applications out of sight: no volume leaves, one of an earlier configuration may use it",
			on(a).owns(1, true, "").holds(primary(1)).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}).with(noEngine), ""},
		{"applications out of sight: nor does it go back to a snapshot",
			on(a).owns(1, true, "", cluster.SnapshotRequest{Name: "old", Epoch: 1}).holds(snapped).with(goBack(1)).with(noEngine), ""},
		{"applications out of sight: a volume without one may arrive",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}).with(alone).with(noEngine), "get ready data"},
		{"applications out of sight: one with an application waits",
			on(b).move(cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare}).with(noEngine), ""},
		{"no volume: it is created and started in a lane of its own",
			on(a).wants(web(), db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1)),
			"create application web, start application web"},
		{"short of space: an owner keeps the bases of its rounds without their content, and what users want",
			on(a).owns(1, true, "", cluster.SnapshotRequest{Name: "old", Epoch: 1}).holds(snapped).with(tight),
			"drop snapshot data@round"},
		{"short of space: not while the volume is to move",
			on(a).owns(1, true, "", cluster.SnapshotRequest{Name: "old", Epoch: 1}).holds(snapped).with(tight).
				move(cluster.Move{From: a, To: b, Phase: cluster.PhaseWaiting}), ""},
		{"power lost: a copy that was open then is closed before it is given up",
			on(a).ownedBy(b, 2).holds(unclosed), "close volume data, demote volume data"},
		{"power lost: and before it is removed",
			on(a).holds(unclosed).with(func(w *world) { w.assignment.Deleted = []cluster.VolumeID{data} }), "close volume data, remove volume data"},
		{"power lost: its owner opens it as it is",
			on(a).wants(db()).owns(1, true, "").holds(unclosed), "open volume data, create application db, start application db"},
		{"no volume: what is no longer wanted is stopped",
			on(a).runs(runtime.Spec{Application: web(), Address: "10.0.0.1"}),
			"stop application web, remove application web"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			if diff := cmp.Diff(row.want, describe(plan.Diff(row.world.assignment, row.world.seen, now))); diff != "" {
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
