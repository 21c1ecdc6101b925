package plan_test

import (
	"fmt"
	goruntime "runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
)

// full returns a node on which so many applications run, each on its volume, and nothing is to be done.
func full(applications int) *world {
	w := on(a)
	for n := range applications {
		id := cluster.VolumeID(fmt.Sprintf("volume-%d", n))
		app := cluster.Application{Name: cluster.AppName(fmt.Sprintf("app-%d", n)), Command: []string{"app"}, Volume: &cluster.Attachment{Volume: id, Mountpoint: "/data"}}
		w.wants(app)
		w.assignment.Volumes = append(w.assignment.Volumes, cluster.OwnedVolume{Volume: cluster.Volume{ID: id, Name: string(id)},
			Ownership: cluster.Ownership{Volume: id, Owner: a, Epoch: 1, Created: true}, Application: app.Name})
		w.seen.Copies = append(w.seen.Copies, volume.Copy{Volume: id, Role: cluster.Primary, Epoch: 1, Open: true})
		spec := runtime.Spec{Application: app, Epoch: 1, VolumePath: "/volumes/" + string(id), Address: "10.0.0.1"}
		w.runs(spec)
	}
	return w
}

// TestAPlanCostsAsMuchAsThereIs: ten times as many applications take about ten times the work. What counts is
// the processor's time of this thread alone, so that others who are busy make no difference.
func TestAPlanCostsAsMuchAsThereIs(t *testing.T) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	worked := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	took := func(w *world) time.Duration {
		best := time.Hour
		for range 5 {
			began := worked()
			for range 10 {
				if p := plan.Diff(w.assignment, w.seen, now); len(p.Lanes) != 0 {
					t.Fatalf("there is something to do: %s", describe(p))
				}
			}
			best = min(best, worked()-began)
		}
		return best
	}
	few, many := took(full(300)), took(full(3000))
	t.Logf("300 applications take %s, 3000 take %s", few, many)
	if many > 50*few { // were each held against each it would be a hundred times
		t.Error("the work grows faster than what there is")
	}
}
