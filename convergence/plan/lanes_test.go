package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
)

// TestWhatWaitsForWhat: an application waits for nothing, a hand-off for what was asked for before it, and
// whatever changes the copy for both.
func TestWhatWaitsForWhat(t *testing.T) {
	closed := primary(1)
	closed.Open = false
	leaving := cluster.Move{From: a, To: b, Phase: cluster.PhasePrepare, Ready: true}
	wish := cluster.SnapshotRequest{Name: "new", Epoch: 1}
	type after map[string][]string
	for what, row := range map[string]struct {
		world *world
		want  after
	}{
		"an application": {on(a).wants(db()).owns(1, true, "").holds(primary(1)), after{"data": nil}},
		"a copy":         {on(a).wants(db()).owns(1, true, "").holds(closed), after{"data": {"data/upkeep", "data/move"}}},
		"a hand-off": {on(a).wants(db()).owns(1, true, "", wish).holds(primary(1)).runs(dbSpec(1), stopped).move(leaving),
			after{"data": nil, "data/upkeep": {"data", "data/move"}, "data/move": {"data/upkeep"}}},
		"the end of one": {on(a).wants(db()).owns(1, true, "").holds(primary(1)).runs(dbSpec(1), stopped).move(cluster.Move{From: a, To: b, Phase: cluster.PhaseFinal}),
			after{"data": nil, "data/move": {"data"}}},
	} {
		t.Run(what, func(t *testing.T) {
			got := after{}
			for _, lane := range plan.Diff(row.world.assignment, row.world.seen, now).Lanes {
				got[lane.Key] = lane.After
				if lane.Apart != (lane.Key == plan.UpkeepLane(data)) {
					t.Errorf("lane %s: apart is %t", lane.Key, lane.Apart)
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
