package convergence

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/volume"
)

// glances are what the last pass saw of the copies.
type glances struct {
	mu sync.Mutex
	of map[cluster.VolumeID]glance
}

// A glance is what the last pass saw of a copy.
type glance struct {
	broken bool
	// accepted is when an operator last accepted it as it is.
	accepted time.Time
	// leaving: a step takes the copy away, or has.
	leaving bool
}

// acceptedLately is when a copy was accepted of which that is told at the first look: it was while the
// agent began, or ended before it had told.
const acceptedLately = time.Minute

// takeAway does what may make a copy disappear. What nobody did through here is reported.
func (g *glances) takeAway(id cluster.VolumeID, do func() error) error {
	g.mu.Lock()
	if was, seen := g.of[id]; seen {
		was.leaving = true
		g.of[id] = was
	}
	g.mu.Unlock()
	return do()
}

// compare returns what is to be told of the copies since the last pass: those that are gone though no
// step took them away, those that cannot be read any more, and those that an operator accepts. None holds up what else is to be
// done. Busy are the lanes of which what is seen may be out of date.
func (g *glances) compare(node string, assignment cluster.Assignment, copies []volume.Copy, busy map[string]bool, wall time.Time) []cluster.Event {
	g.mu.Lock()
	defer g.mu.Unlock()
	var events []cluster.Event
	tell := func(kind string, id cluster.VolumeID, format string, args ...any) {
		events = append(events, cluster.Event{Kind: kind, Volume: id, Message: fmt.Sprintf(format, args...)})
	}
	changing := func(id cluster.VolumeID) bool { return busy[plan.CopyLane(id)] || busy[plan.MoveLane(id)] }
	next := make(map[cluster.VolumeID]glance, len(copies))
	for _, c := range copies {
		was, seen := g.of[c.Volume]
		now := glance{broken: c.Broken() || c.Obstacle != "" && c.Head == "" && len(c.Snapshots) == 0, leaving: was.leaving && changing(c.Volume)}
		if now.broken && (!seen || !was.broken) {
			then := ""
			if !slices.ContainsFunc(assignment.Volumes, func(o cluster.OwnedVolume) bool { return o.Volume.ID == c.Volume }) {
				then = "; it is set aside when the volume comes here again"
			}
			tell("copy lost", c.Volume, "the copy of volume %s on %s is broken: %s%s", c.Volume, node, cmp.Or(c.Lost, c.Warning), then)
		}
		if a := c.Accepted; a != nil {
			now.accepted = a.At
			if seen && !a.At.Equal(was.accepted) || !seen && wall.Sub(a.At) < acceptedLately {
				tell("accepted", c.Volume, "the copy of volume %s on %s is the volume by an operator's word (the file accept), although %s", c.Volume, node, a.Although)
			}
		}
		next[c.Volume] = now
	}
	arriving := func(id cluster.VolumeID) bool {
		return slices.ContainsFunc(assignment.Arriving, func(r cluster.Arrival) bool { return r.Volume.ID == id })
	}
	for _, id := range slices.Sorted(maps.Keys(g.of)) {
		if _, still := next[id]; still {
			continue
		}
		if was := g.of[id]; changing(id) {
			next[id] = was // it may be about to be another one
		} else if !was.leaving && !arriving(id) {
			tell("copy lost", id, "the copy of volume %s on %s is gone, and Drover did not remove it", id, node)
		}
	}
	g.of = next
	return events
}
