package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
)

// Diff returns what brings the node from what it observes to what its assignment asks.
func Diff(assignment cluster.Assignment, seen Observed, now time.Time) Plan {
	d := &differ{assignment: assignment, seen: seen, now: now, lanes: map[string]*Lane{}}
	d.index()
	if seen.InstancesUnknown != "" {
		d.unused()
		return d.plan()
	}
	if assignment.Removed {
		d.expelled()
		return d.plan()
	}
	if seen.VolumesUnknown == "" {
		for _, id := range slices.Sorted(maps.Keys(d.concerned())) {
			d.volume(id)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.stateless())) {
		d.application(string(name), name, cluster.Spec{}, "")
	}
	for _, drain := range d.assignment.Drains {
		d.carry(drain)
	}
	return d.plan()
}

// expelled stops all that runs here and closes all that is open, and takes nothing away: the node was removed,
// and another one may own what it owned.
func (d *differ) expelled() {
	const why = "an operator has removed this node"
	for _, name := range slices.Sorted(maps.Keys(d.instances)) {
		lane := string(name)
		if id := d.instances[name].Volume; id != "" {
			lane = string(id)
		}
		d.remove(lane, name, why)
	}
	for _, id := range slices.Sorted(maps.Keys(d.copies)) {
		if c := d.copies[id]; c.Open || c.Unclosed {
			d.add(string(id), Step{Kind: CloseVolume, Volume: id, Reason: why})
		}
	}
}

// unused brings up the volumes of this node that no application uses, and gets ready for those that
// are to come, and does nothing else.
func (d *differ) unused() {
	if d.seen.VolumesUnknown != "" {
		return
	}
	undecided := func(id cluster.VolumeID) bool { _, is := d.seen.Undecided[id]; return is }
	for _, owned := range d.assignment.Volumes {
		if id := owned.Volume.ID; owned.Application == "" && !undecided(id) {
			d.ownedVolume(string(id), owned)
			d.leaveOpen(string(id))
		}
	}
	for _, arrival := range d.assignment.Arriving {
		id := arrival.Volume.ID
		if _, owned := d.owned[id]; arrival.Application == nil && arrival.From == "" && !undecided(id) && !owned {
			d.arrival(string(id), arrival)
		}
	}
}

// leaveOpen cuts a lane off before the first step that takes a volume away from whoever uses it: an
// application may, of an earlier configuration.
func (d *differ) leaveOpen(lane string) {
	if l, ok := d.lanes[MoveLane(cluster.VolumeID(lane))]; ok && l.Steps[0].Kind == HandOff {
		delete(d.lanes, l.Key)
	}
	l, ok := d.lanes[lane]
	if !ok {
		return
	}
	takes := func(s Step) bool { return s.Kind == CloseVolume || s.Kind == RollbackVolume }
	if at := slices.IndexFunc(l.Steps, takes); at >= 0 {
		l.Steps = l.Steps[:at]
	}
	if len(l.Steps) == 0 {
		delete(d.lanes, lane)
	}
}

// A differ is one run of Diff: what is known, by id, and what has been decided so far.
type differ struct {
	assignment cluster.Assignment
	seen       Observed
	now        time.Time

	wanted    map[cluster.AppName]cluster.Application
	owned     map[cluster.VolumeID]cluster.OwnedVolume
	others    map[cluster.VolumeID]cluster.ForeignVolume
	deleted   map[cluster.VolumeID]bool
	arriving  map[cluster.VolumeID]cluster.Arrival
	leaving   map[cluster.VolumeID]cluster.Move
	moves     map[cluster.MoveID]cluster.Move
	copies    map[cluster.VolumeID]cluster.Copy
	instances map[cluster.AppName]cluster.Instance
	// using are the applications that shall run on volumes, and users the instances that are on them.
	using map[cluster.VolumeID]cluster.Application
	users map[cluster.VolumeID][]cluster.AppName

	lanes     map[string]*Lane
	conflicts []cluster.Conflict
	wake      time.Time
}

func (d *differ) index() {
	d.wanted = by(d.assignment.Applications, func(a cluster.Application) cluster.AppName { return a.Name })
	d.owned = by(d.assignment.Volumes, func(v cluster.OwnedVolume) cluster.VolumeID { return v.Volume.ID })
	d.others = by(d.assignment.Owners, func(o cluster.ForeignVolume) cluster.VolumeID { return o.Volume })
	d.arriving = by(d.assignment.Arriving, func(a cluster.Arrival) cluster.VolumeID { return a.Volume.ID })
	delete(d.arriving, "") // of applications without one
	d.moves = by(d.assignment.Moves, func(m cluster.Move) cluster.MoveID { return m.ID })
	d.copies = by(d.seen.Copies, func(c cluster.Copy) cluster.VolumeID { return c.Volume })
	d.instances = by(d.seen.Instances, func(i cluster.Instance) cluster.AppName { return i.Name })
	d.using = map[cluster.VolumeID]cluster.Application{}
	for _, app := range d.assignment.Applications {
		if app.Volume != nil {
			d.using[app.Volume.Volume] = app
		}
	}
	d.users = map[cluster.VolumeID][]cluster.AppName{}
	for _, name := range slices.Sorted(maps.Keys(d.instances)) {
		if id := d.instances[name].Volume; id != "" {
			d.users[id] = append(d.users[id], name)
		}
	}
	d.deleted = map[cluster.VolumeID]bool{}
	for _, id := range d.assignment.Deleted {
		d.deleted[id] = true
	}
	d.leaving = map[cluster.VolumeID]cluster.Move{}
	for _, m := range d.assignment.Moves {
		if m.From == d.assignment.Node && !m.Phase.Ended() && !m.Phase.Committed() {
			d.leaving[m.Volume] = m
		}
	}
}

// concerned returns every volume that this node has anything to do with.
func (d *differ) concerned() map[cluster.VolumeID]bool {
	ids := map[cluster.VolumeID]bool{}
	for id := range d.owned {
		ids[id] = true
	}
	for id := range d.copies {
		ids[id] = true
	}
	for id := range d.arriving {
		ids[id] = true
	}
	for _, i := range d.seen.Instances {
		if i.Volume != "" {
			ids[i.Volume] = true
		}
	}
	return ids
}

// stateless returns every application without a volume that runs or shall run here.
func (d *differ) stateless() map[cluster.AppName]bool {
	names := map[cluster.AppName]bool{}
	for name, app := range d.wanted {
		if app.Volume == nil {
			names[name] = true
		}
	}
	for name, i := range d.instances {
		if app, wanted := d.wanted[name]; i.Volume == "" && (!wanted || app.Volume == nil) {
			names[name] = true
		}
	}
	return names
}

// volume decides on one volume and on the application that uses it.
func (d *differ) volume(id cluster.VolumeID) {
	lane := string(id)
	if move, undecided := d.seen.Undecided[id]; undecided {
		d.add(lane, Step{Kind: Resolve, Volume: id, Move: move,
			Reason: "asked to commit before a restart; the answer is not known here"})
		return
	}
	if owned, ok := d.owned[id]; ok {
		d.ownedVolume(lane, owned)
		return
	}
	if arrival, ok := d.arriving[id]; ok {
		d.arrival(lane, arrival)
		return
	}
	d.foreign(lane, id)
}

// arrival gets ready for a volume that is to move here. Data comes by itself, from the owner.
func (d *differ) arrival(lane string, a cluster.Arrival) {
	defer d.dropOldRounds(lane, d.copies[a.Volume.ID]) // last: somebody else may hold one
	move := d.moves[a.Move]
	if move.Phase != cluster.PhasePrepare || move.Ready || move.Aborting || d.seen.Answered[move.ID] >= move.Attempt {
		return
	}
	step := Step{Kind: GetReady, Volume: a.Volume.ID, Move: move,
		Reason: fmt.Sprintf("it is to move here from %s", d.nodeName(move.From))}
	if a.Application != nil {
		step.Spec = d.seen.spec(*a.Application, move.Epoch+1)
	}
	d.add(lane, step)
}

// foreign winds down a volume that another node owns, that is deleted, or that nobody told us of.
func (d *differ) foreign(lane string, id cluster.VolumeID) {
	record, known := d.others[id]
	held, exists := d.copies[id]
	switch {
	case d.deleted[id]:
		d.removeUsers(lane, id, 0, "its volume is deleted")
		if held.Open || held.Unclosed {
			d.add(lane, Step{Kind: CloseVolume, Volume: id, Reason: "the volume is deleted"})
		}
		if exists {
			d.add(lane, Step{Kind: RemoveVolume, Volume: id, Reason: "the volume is deleted; it stays in the trash for a while"})
		}
	case known && exists && held.Epoch <= record.Epoch:
		why := fmt.Sprintf("%s owns the volume since epoch %d", d.nodeName(record.Owner), record.Epoch)
		d.removeUsers(lane, id, 0, why)
		if held.Open || held.Unclosed {
			d.add(lane, Step{Kind: CloseVolume, Volume: id, Reason: why})
		}
		if held.Role == cluster.Primary {
			d.add(lane, Step{Kind: DemoteVolume, Volume: id, Epoch: record.Epoch, Reason: why})
			return
		}
		d.label(lane, held, cluster.Labels{Name: record.Name, Application: record.Application})
		d.retire(lane, record, held)
	case !exists:
		d.removeUsers(lane, id, 0, "neither it nor its volume is placed here")
	}
	// Otherwise the control service has not yet answered the report of this copy. Unknown is
	// never "none": it is left alone.
}

// retire puts the copy of a former owner away when its grace period is over.
func (d *differ) retire(lane string, record cluster.ForeignVolume, held cluster.Copy) {
	d.dropOldRounds(lane, held)
	kept := false
	for _, s := range held.Snapshots {
		kept = kept || s.Kept
		if s.Kept && slices.Contains(record.Unwanted, s.Name) && s.GUID != held.Head && held.Partial == nil {
			d.add(lane, Step{Kind: DropSnapshot, Volume: held.Volume, Name: s.Name, Reason: "no longer wanted"})
		}
	}
	if kept {
		return // the only copy of something that a user asked to keep, or has it until that is dropped
	}
	if !held.Changed.Before(d.seen.Aged) {
		return // by the present alone, which may be years ahead, there is no telling
	}
	d.add(lane, Step{Kind: RemoveVolume, Volume: held.Volume,
		Reason: fmt.Sprintf("its owner has been another node for %s", d.seen.Grace)})
}

// dropOldRounds forgets the snapshots of earlier rounds on a replica. The newest one stays: the
// owner keeps it too until a newer one has arrived, so it is what both sides share. So do the last
// rounds of the last moves: see cluster.OldRounds.
func (d *differ) dropOldRounds(lane string, held cluster.Copy) {
	if held.Role != cluster.Replica || held.Partial != nil {
		return
	}
	for _, s := range cluster.OldRounds(held.Snapshots) {
		d.add(lane, Step{Kind: DropSnapshot, Volume: held.Volume, Name: s.Name, Reason: "a newer round has arrived"})
	}
}

func (d *differ) nodeName(id cluster.NodeID) string {
	if n, ok := d.assignment.Peer(id); ok && n.Name != "" {
		return n.Name
	}
	return string(id)
}

func (d *differ) conflict(id cluster.VolumeID, what string, waysOut ...string) {
	d.conflicts = append(d.conflicts, cluster.Conflict{Volume: id, What: what, WaysOut: waysOut})
}

func (d *differ) wakeAt(t time.Time) {
	if d.wake.IsZero() || t.Before(d.wake) {
		d.wake = t
	}
}

func by[K comparable, V any](list []V, key func(V) K) map[K]V {
	m := make(map[K]V, len(list))
	for _, v := range list {
		m[key(v)] = v
	}
	return m
}
