package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
)

// ownedVolume brings up a volume that this node may write, with its application.
func (d *differ) ownedVolume(lane string, owned cluster.OwnedVolume) {
	v, record := owned.Volume, owned.Ownership
	held, exists := d.copies[v.ID]
	if exists && held.Epoch > record.Epoch {
		// The copy has seen a later owner than this assignment has: the assignment is old. Acting on it
		// would bring back a writer that has been moved away.
		return
	}
	if !exists && !d.appear(lane, owned) {
		return
	}
	if exists && held.Broken() {
		d.lost(lane, v, fmt.Sprintf("this node owns volume %s (epoch %d), and its copy cannot be used: %s", called(v), record.Epoch, cmp.Or(held.Lost, held.Warning)), held.Mend)
		return
	}
	if exists && held.Role == cluster.Replica && held.Head != record.Base {
		d.conflict(v.ID, fmt.Sprintf("this node owns volume %s from snapshot %s on, but its copy is at %q", called(v), record.Base, held.Head),
			takeover(v))
		d.abandon(lane, v.ID)
		return
	}
	rolledBack := d.rollBack(lane, owned, held)
	if !exists || !held.Open || held.Epoch != record.Epoch || rolledBack {
		// A writer of an older epoch must not live on into the new one.
		d.removeUsers(lane, v.ID, record.Epoch, "the volume has a new epoch")
		d.add(lane, Step{Kind: OpenVolume, Volume: v.ID, Epoch: record.Epoch, Base: record.Base,
			Reason: fmt.Sprintf("this node owns it since epoch %d", record.Epoch)})
	}
	spec := d.specUsing(owned)
	d.application(lane, spec.Application.Name, spec, v.ID)
	d.departure(lane, v.ID)
	if !d.changesCopy(lane) {
		d.upkeep(lane, owned, held)
	}
}

// upkeep makes the open copy what it is to be like.
func (d *differ) upkeep(lane string, owned cluster.OwnedVolume, held cluster.Copy) {
	v := owned.Volume
	if held.MaximumSize != v.MaximumSize {
		d.add(lane, Step{Kind: ResizeVolume, Volume: v.ID, Limit: v.MaximumSize, Reason: "its maximum size is another one"})
	}
	if _, leaving := d.leaving[v.ID]; !leaving { // what is only for show holds up no move
		d.label(lane, held, labels(owned))
	}
	d.wishedSnapshots(lane, owned, held)
	if _, hands := d.lanes[MoveLane(v.ID)]; hands {
		return // somebody else may hold a snapshot that is to go, and the move does not wait for that
	}
	d.unwantedSnapshots(lane, owned, held)
	d.relieve(lane, held)
}

// appear makes the copy of an owned volume that has none: out of the trash, or for the first time.
// It reports false if that must not be.
func (d *differ) appear(lane string, owned cluster.OwnedVolume) bool {
	v, record := owned.Volume, owned.Ownership
	removed := slices.ContainsFunc(d.seen.Trash, func(c cluster.Copy) bool {
		return c.Volume == v.ID && c.Role == cluster.Primary && c.Epoch == record.Epoch
	})
	switch {
	case removed:
		d.add(lane, Step{Kind: RestoreVolume, Volume: v.ID, Epoch: record.Epoch, Reason: "it was undeleted"})
	case record.Created || record.Epoch != 1 || d.seen.made(v.ID):
		d.lost(lane, v, fmt.Sprintf("this node owns volume %s (epoch %d) but has no copy of it", called(v), record.Epoch), "")
		return false
	default:
		d.add(lane, Step{Kind: CreateVolume, Volume: v.ID, Limit: v.MaximumSize, Spec: d.specUsing(owned), Wanted: v,
			Labels: labels(owned), Reason: "it is new and placed here" + origin(v.Origin)})
	}
	return true
}

func (o Observed) made(id cluster.VolumeID) bool {
	_, made := slices.BinarySearch(o.Made, id)
	return made
}

// Misses returns which of the volumes that the node owns were here before, and are not now.
func (o Observed) Misses(owned []cluster.OwnedVolume) []cluster.VolumeID {
	var missed []cluster.VolumeID
	for _, v := range owned {
		id := v.Volume.ID
		if o.made(id) && !slices.ContainsFunc(o.Copies, func(c cluster.Copy) bool { return c.Volume == id }) {
			missed = append(missed, id)
		}
	}
	return missed
}

// lost is a conflict about a copy that is not there, or not to be used, whether it is open or not. Mend is
// what its backend says can be done about it, if it says so.
func (d *differ) lost(lane string, v cluster.Volume, what, mend string) {
	d.conflict(v.ID, what,
		cmp.Or(mend, "put the copy back where the backend looks for it"),
		takeover(v),
		fmt.Sprintf("give the data up: take the application out of the application file, `drover deploy --wait=false` it, then `drover volume rm %s`", called(v)))
	d.abandon(lane, v.ID)
}

// abandon ends what needs a copy that is not there: the applications, which write to nothing that is
// kept, and a move.
func (d *differ) abandon(lane string, id cluster.VolumeID) {
	why := "this node has lost its copy of the volume"
	d.removeUsers(lane, id, 0, why)
	if move, ok := d.leaving[id]; ok && move.Phase != cluster.PhaseWaiting && d.seen.GaveUp[move.ID] < move.Attempt {
		d.add(lane, Step{Kind: GiveUp, Volume: id, Move: move, Reason: why, Final: true})
	}
}

// takeover is the way out that goes on without this node's copy.
func takeover(v cluster.Volume) string {
	return fmt.Sprintf("let a node that holds a replica take over: `drover volume inspect %[1]s` shows which do, `drover volume takeover %[1]s NODE` does it; what was written since its last snapshot is lost", called(v))
}

// called is what people call a volume.
func called(v cluster.Volume) string { return cmp.Or(v.Name, string(v.ID)) }

// origin says where the first content comes from.
func origin(o *cluster.Origin) string {
	switch {
	case o == nil:
		return ""
	case o.Adopt != "":
		return ", from " + o.Adopt
	default:
		return fmt.Sprintf(", a clone of %s@%s", o.Volume, cmp.Or(o.Snapshot, "now"))
	}
}

// rollBack closes the copy and makes its content that of a snapshot again, if a user has asked this
// owner to. It reports whether it does.
func (d *differ) rollBack(lane string, owned cluster.OwnedVolume, held cluster.Copy) bool {
	wish, record := owned.Volume.Rollback, owned.Ownership
	if !wish.Due(record, held.Rollback) || held.Role != cluster.Primary || held.Epoch != record.Epoch {
		return false
	}
	if !slices.ContainsFunc(held.Snapshots, func(s cluster.Snapshot) bool { return s.Name == wish.Snapshot }) {
		d.conflict(record.Volume, fmt.Sprintf("volume %s is to go back to snapshot %s, which its copy does not hold", owned.Volume.Name, wish.Snapshot),
			"ask for another snapshot with `drover volume rollback`")
		return false
	}
	why := fmt.Sprintf("a user asked for snapshot %s", wish.Snapshot)
	d.removeUsers(lane, record.Volume, 0, why)
	if held.Open || held.Unclosed {
		d.add(lane, Step{Kind: CloseVolume, Volume: record.Volume, Reason: why})
	}
	d.add(lane, Step{Kind: RollbackVolume, Volume: record.Volume, Name: wish.Snapshot, Wish: wish.ID, Reason: why})
	return true
}

// relieve drops the snapshots that were made for transfers where space is short: they hold what the
// application has rewritten since.
func (d *differ) relieve(lane string, held cluster.Copy) {
	if _, leaving := d.leaving[held.Volume]; !d.seen.Tight || leaving {
		return
	}
	for _, s := range held.Snapshots {
		if !s.Kept {
			d.add(lane, Step{Kind: DropSnapshot, Volume: held.Volume, Name: s.Name, Reason: "space is short; it stays a base without its content"})
		}
	}
}

// specUsing returns what the application that uses an owned volume runs as; the zero Spec if
// none shall run.
func (d *differ) specUsing(owned cluster.OwnedVolume) cluster.Spec {
	app, wanted := d.using[owned.Volume.ID]
	if !wanted {
		return cluster.Spec{}
	}
	return d.seen.spec(app, owned.Ownership.Epoch)
}

// wishedSnapshots makes the snapshots that users asked of this owner.
func (d *differ) wishedSnapshots(lane string, owned cluster.OwnedVolume, held cluster.Copy) {
	exists := by(held.Snapshots, func(s cluster.Snapshot) cluster.SnapshotName { return s.Name })
	for _, wish := range owned.Volume.Snapshots {
		if _, made := exists[wish.Name]; !made && wish.Epoch == owned.Ownership.Epoch {
			d.add(lane, Step{Kind: Snapshot, Volume: owned.Volume.ID, Name: wish.Name, Reason: "a user asked for it"})
		}
	}
}

// unwantedSnapshots removes those that users no longer want.
func (d *differ) unwantedSnapshots(lane string, owned cluster.OwnedVolume, held cluster.Copy) {
	wanted := by(owned.Volume.Snapshots, func(w cluster.SnapshotRequest) cluster.SnapshotName { return w.Name })
	for _, s := range held.Snapshots {
		if _, stays := wanted[s.Name]; s.Kept && !stays {
			d.add(lane, Step{Kind: DropSnapshot, Volume: owned.Volume.ID, Name: s.Name, Reason: "no longer wanted"})
		}
	}
}

func labels(owned cluster.OwnedVolume) cluster.Labels {
	return cluster.Labels{Name: owned.Volume.Name, Application: owned.Application}
}

// label shows what the volume is called where the backend can.
func (d *differ) label(lane string, held cluster.Copy, want cluster.Labels) {
	if held.Labels != nil && *held.Labels != want {
		d.add(lane, Step{Kind: LabelVolume, Volume: held.Volume, Labels: want, Reason: "its name or its application is another one"})
	}
}

// underway reports whether a volume is on its way to another node, for all that is known here.
func (d *differ) underway(id cluster.VolumeID) bool {
	move, leaving := d.leaving[id]
	return leaving && move.Phase != cluster.PhaseWaiting && !move.Aborting && d.seen.GaveUp[move.ID] < move.Attempt && d.seen.Broken[move.ID] != move.Attempt
}

// departure begins, or gives up, the move of a volume away from here.
func (d *differ) departure(lane string, id cluster.VolumeID) {
	move, ok := d.leaving[id]
	if !ok || d.seen.GaveUp[move.ID] >= move.Attempt {
		return
	}
	switch {
	case move.Aborting:
		d.add(lane, Step{Kind: GiveUp, Volume: id, Move: move, Reason: "the move was aborted: " + move.Reason})
	case d.seen.Broken[move.ID] == move.Attempt:
		d.add(lane, Step{Kind: GiveUp, Volume: id, Move: move, Reason: "the hand-off did not work out"})
	case move.Phase == cluster.PhasePrepare && move.Ready && d.changesCopy(lane):
		// First it is opened, or goes back to a snapshot.
	case move.Phase == cluster.PhasePrepare && move.Ready:
		d.add(lane, Step{Kind: HandOff, Volume: id, Move: move,
			Reason: fmt.Sprintf("wanted on %s, which is ready", d.nodeName(move.To))})
	case move.Phase == cluster.PhasePrecopy, move.Phase == cluster.PhaseHold, move.Phase == cluster.PhaseFinal:
		d.add(lane, Step{Kind: GiveUp, Volume: id, Move: move,
			Reason: "the hand-off was interrupted"})
	}
}
