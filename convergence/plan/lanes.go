package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
)

// A volume has three lanes, so that an application that crashes is started again while its volume is shipped,
// and neither an application that does not start nor a snapshot for which there is no room keeps a volume
// from leaving:
//
//	id          the copy, then the application on it
//	id/upkeep   its size, snapshots and labels, once the copy is open
//	id/move     its hand-off, which takes the first lane for itself from the stop of the application on
//
// An application without a volume has one lane, by its name, and name/image to carry its image elsewhere.

// CopyLane is the key of the lane of a volume's copy and application.
func CopyLane(id cluster.VolumeID) string { return string(id) }

// UpkeepLane is that of what the copy of a volume is to be like.
func UpkeepLane(id cluster.VolumeID) string { return string(id) + "/upkeep" }

// MoveLane is that of a volume's hand-off.
func MoveLane(id cluster.VolumeID) string { return string(id) + "/move" }

// lane returns the key of the lane that a step belongs to. Main is that of what the step is part of.
func (k Kind) lane(main string) string {
	id := cluster.VolumeID(main)
	switch k {
	case ResizeVolume, LabelVolume, Snapshot, DropSnapshot:
		return UpkeepLane(id)
	case HandOff, GiveUp:
		return MoveLane(id)
	case CarryImage:
		return main + "/image"
	}
	return main
}

// add puts a step at the end of its lane.
func (d *differ) add(main string, s Step) {
	if d.assignment.Recovering && d.destroys(s) {
		return
	}
	key := s.Kind.lane(main)
	l, ok := d.lanes[key]
	if !ok {
		l = &Lane{Key: key, Apart: key == UpkeepLane(cluster.VolumeID(main))}
		d.lanes[key] = l
	}
	l.Steps = append(l.Steps, s)
	l.After = s.after(l.After)
}

// destroys reports whether a step takes something away that only a user may give up.
func (d *differ) destroys(s Step) bool {
	kept := func(held cluster.Snapshot) bool { return held.Name == s.Name && held.Kept }
	return s.Kind == RemoveVolume || s.Kind == RollbackVolume ||
		s.Kind == DropSnapshot && slices.ContainsFunc(d.copies[s.Volume].Snapshots, kept)
}

// after returns which lanes a lane waits for when the step is added.
func (s Step) after(before []string) []string {
	var more []string
	switch s.Kind {
	case CheckInstance, CarryImage, CreateInstance, StartInstance, StopInstance, RemoveInstance, GetReady:
	case ResizeVolume, LabelVolume, Snapshot, DropSnapshot:
		more = []string{CopyLane(s.Volume), MoveLane(s.Volume)}
	case HandOff:
		more = []string{UpkeepLane(s.Volume)} // a snapshot that was asked for before is made before
	case GiveUp:
		more = []string{CopyLane(s.Volume)} // the application runs again, if it can
	default:
		more = []string{UpkeepLane(s.Volume), MoveLane(s.Volume)}
	}
	for _, key := range more {
		if !slices.Contains(before, key) {
			before = append(before, key)
		}
	}
	return before
}

// changesCopy reports whether the plan works on the copy of a volume, and not only on its application.
func (d *differ) changesCopy(lane string) bool {
	l, ok := d.lanes[lane]
	return ok && len(l.After) > 0
}

func (d *differ) plan() Plan {
	p := Plan{Conflicts: d.conflicts, Wake: d.wake}
	for _, key := range slices.Sorted(maps.Keys(d.lanes)) {
		p.Lanes = append(p.Lanes, *d.lanes[key])
	}
	// What was asked for before a move is done before it.
	slices.SortStableFunc(p.Lanes, func(a, b Lane) int { return cmp.Compare(a.leaves(), b.leaves()) })
	slices.SortStableFunc(p.Conflicts, func(a, b cluster.Conflict) int { return cmp.Compare(a.Volume, b.Volume) })
	return p
}

// leaves is 1 for the lane of a move, else 0.
func (l Lane) leaves() int {
	if k := l.Steps[0].Kind; k == HandOff || k == GiveUp {
		return 1
	}
	return 0
}
