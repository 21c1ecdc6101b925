package plan_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
)

// TestPlansReachAFixedPoint draws any assignment and any node, carries out what the plan says, and
// plans again: after a few passes there is nothing left to do, and nothing was written that
// another node owns.
func TestPlansReachAFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		for pass := range 5 {
			p := plan.Diff(w.assignment, w.seen, now)
			if len(p.Lanes) == 0 {
				w.check(t)
				return
			}
			done := map[string]bool{}
			for _, lane := range p.Lanes {
				if slices.ContainsFunc(lane.After, func(key string) bool { return done[key] }) {
					continue // it waits for the next look
				}
				for _, s := range lane.Steps {
					w.do(t, s)
				}
				done[lane.Key] = true
			}
			if pass == 4 {
				t.Fatalf("the plan goes on for ever: %s", describe(p))
			}
		}
	})
}

func draw(t *rapid.T) *world {
	flip := func(what string) bool { return rapid.Bool().Draw(t, what) }
	epoch := func(what string) cluster.Epoch { return cluster.Epoch(rapid.IntRange(1, 3).Draw(t, what)) }
	guid := rapid.SampledFrom([]string{"", "g1", "g2"})
	w := on(a)
	if flip("holds a copy") {
		c := volume.Copy{Role: rapid.SampledFrom([]cluster.Role{cluster.Primary, cluster.Replica}).Draw(t, "role"), Epoch: epoch("copy"),
			Head: guid.Draw(t, "head"), Changed: now.Add(-time.Duration(rapid.IntRange(0, 48).Draw(t, "age")) * time.Hour)}
		c.Open = c.Role == cluster.Primary && flip("open")
		for _, g := range []string{"g1", "g2"} {
			if flip("snapshot " + g) {
				c.Snapshots = append(c.Snapshots, cluster.Snapshot{Name: cluster.SnapshotName(g), GUID: g, Kept: flip("kept " + g)})
			}
		}
		if flip("labels") {
			c.Labels = &volume.Labels{}
		}
		w.holds(c)
	}
	if flip("runs the application") {
		w.runs(dbSpec(epoch("instance")), rapid.SampledFrom([]func(*runtime.Instance){created, stopped, func(*runtime.Instance) {}}).Draw(t, "instance"))
	}
	switch rapid.SampledFrom([]string{"owned", "other", "deleted", "arriving", "unknown"}).Draw(t, "the volume is") {
	case "owned":
		w.owns(epoch("owner"), flip("created"), guid.Draw(t, "base"))
		if flip("wanted") {
			w.wants(db())
		}
		if flip("rolled back") {
			w.assignment.Volumes[0].Volume.Rollback = &cluster.RollbackRequest{ID: "wish", Snapshot: "g1", Epoch: epoch("wish")}
		}
		if flip("in the trash") {
			w.seen.Trash = []volume.Copy{{Volume: data, Role: cluster.Primary, Epoch: epoch("trash")}}
		}
	case "other":
		w.ownedBy(b, epoch("owner"))
	case "deleted":
		w.assignment.Deleted = []cluster.VolumeID{data}
	case "arriving":
		w.move(cluster.Move{From: b, To: a, Epoch: epoch("move"), Phase: cluster.PhasePrepare, Ready: flip("ready")})
	}
	return w
}

// do carries out a step on the world, as a backend and a runtime would.
func (w *world) do(t *rapid.T, s plan.Step) {
	t.Helper()
	held := slices.IndexFunc(w.seen.Copies, func(c volume.Copy) bool { return c.Volume == s.Volume })
	running := slices.IndexFunc(w.seen.Instances, func(i runtime.Instance) bool { return i.Name == s.Application })
	switch s.Kind {
	case plan.CreateVolume:
		w.seen.Copies = append(w.seen.Copies, volume.Copy{Volume: s.Volume, Role: cluster.Primary, Epoch: 1})
	case plan.RestoreVolume:
		w.seen.Copies = append(w.seen.Copies, w.seen.Trash[0])
	case plan.RollbackVolume:
		c := &w.seen.Copies[held]
		at := slices.IndexFunc(c.Snapshots, func(x cluster.Snapshot) bool { return x.Name == s.Name })
		if c.Open || at < 0 {
			t.Fatalf("a backend would refuse: %s on %+v", s, *c)
		}
		c.Snapshots, c.Rollback = c.Snapshots[:at+1], s.Wish
	case plan.LabelVolume:
		w.seen.Copies[held].Labels = &s.Labels
	case plan.OpenVolume:
		c := &w.seen.Copies[held]
		if s.Epoch < c.Epoch || (c.Role == cluster.Replica && c.Head != s.Base) {
			t.Fatalf("a backend would refuse: %s on %+v", s, *c)
		}
		c.Role, c.Epoch, c.Open, c.Head = cluster.Primary, s.Epoch, true, ""
	case plan.ResizeVolume:
		w.seen.Copies[held].MaximumSize = s.Limit
	case plan.CloseVolume:
		w.seen.Copies[held].Open = false
	case plan.DemoteVolume:
		if w.seen.Copies[held].Head == "" { // diverged: set aside
			w.seen.Copies = slices.Delete(w.seen.Copies, held, held+1)
			return
		}
		w.seen.Copies[held].Role, w.seen.Copies[held].Epoch, w.seen.Copies[held].Changed = cluster.Replica, s.Epoch, now
	case plan.RemoveVolume:
		if w.seen.Copies[held].Open {
			t.Fatalf("an open volume is to be removed: %s", s)
		}
		w.seen.Copies = slices.Delete(w.seen.Copies, held, held+1)
	case plan.DropSnapshot:
		c := &w.seen.Copies[held]
		c.Snapshots = slices.DeleteFunc(c.Snapshots, func(x cluster.Snapshot) bool { return x.Name == s.Name })
	case plan.CheckInstance:
	case plan.CreateInstance:
		w.runs(s.Spec, created)
	case plan.StartInstance:
		i := slices.IndexFunc(w.seen.Instances, func(i runtime.Instance) bool { return i.Name == s.Application })
		w.seen.Instances[i].Running, w.seen.Instances[i].Ended = true, time.Time{}
	case plan.StopInstance:
		w.seen.Instances[running].Running, w.seen.Instances[running].Ended = false, now
	case plan.RemoveInstance:
		if w.seen.Instances[running].Running {
			t.Fatalf("a running application is to be removed: %s", s)
		}
		w.seen.Instances = slices.Delete(w.seen.Instances, running, running+1)
	case plan.GetReady:
		w.seen.Answered = map[cluster.MoveID]int{s.Move.ID: s.Move.Attempt}
	default:
		t.Fatalf("unexpected: %s", s)
	}
}

// check holds the end against the promises.
func (w *world) check(t *rapid.T) {
	t.Helper()
	for _, o := range w.assignment.Owners {
		for _, c := range w.seen.Copies {
			if c.Volume == o.Volume && c.Epoch <= o.Epoch && (c.Open || c.Role == cluster.Primary) {
				t.Fatalf("%s owns the volume since epoch %d, and this node can write it: %+v", o.Owner, o.Epoch, c)
			}
		}
	}
	for _, v := range w.assignment.Volumes {
		for _, c := range w.seen.Copies {
			for _, i := range w.seen.Instances {
				if c.Open && c.Epoch == v.Ownership.Epoch && i.Running && i.Epoch != c.Epoch {
					t.Fatalf("an application of epoch %d writes to a volume of epoch %d", i.Epoch, c.Epoch)
				}
			}
		}
	}
}
