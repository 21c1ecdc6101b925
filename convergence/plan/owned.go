package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
)

// ownedVolume brings up a volume that this node may write, with its application.
func (d *differ) ownedVolume(lane string, owned cluster.OwnedVolume) {
	v, record := owned.Volume, owned.Ownership
	held, exists := d.copies[v.ID]
	if exists && held.Epoch > record.Epoch {
		// The copy has seen a later owner than this slice has: the slice is old. Acting on it
		// would bring back a writer that has been moved away.
		return
	}
	if !exists && !d.appear(lane, owned) {
		return
	}
	if exists && held.Role == cluster.Replica && held.Head != record.Base {
		d.conflict(v.ID, fmt.Sprintf("this node owns volume %s from snapshot %s on, but its copy is at %q", v.Name, record.Base, held.Head),
			"find the node whose copy holds that snapshot with `drover volume inspect`")
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
	if exists && held.LimitBytes != v.MaximumSize {
		// After the start: clients may be waiting for it.
		d.add(lane, Step{Kind: ResizeVolume, Volume: v.ID, Limit: v.MaximumSize, Reason: "its maximum size is another one"})
	}
	if _, leaving := d.leaving[v.ID]; !leaving { // what is only for show holds up no move
		d.label(lane, held, labels(owned))
	}
	d.wishedSnapshots(lane, owned, held)
	d.departure(lane, v.ID)
	// Last: somebody else may hold a snapshot, and nothing shall wait for that.
	d.unwantedSnapshots(lane, owned, held)
	d.relieve(lane, held)
}

// appear makes the copy of an owned volume that has none: out of the trash, or for the first time.
// It reports false if that must not be.
func (d *differ) appear(lane string, owned cluster.OwnedVolume) bool {
	v, record := owned.Volume, owned.Ownership
	removed := slices.ContainsFunc(d.seen.Trash, func(c volume.Copy) bool {
		return c.Volume == v.ID && c.Role == cluster.Primary && c.Epoch == record.Epoch
	})
	switch {
	case removed:
		d.add(lane, Step{Kind: RestoreVolume, Volume: v.ID, Epoch: record.Epoch, Reason: "it was undeleted"})
	case record.Born || record.Epoch != 1:
		d.conflict(v.ID, fmt.Sprintf("this node owns volume %s (epoch %d) but has no copy of it", v.Name, record.Epoch),
			"put the copy back where the backend looks for it",
			"move it from a node that holds a replica, if `drover volume inspect` shows one")
		return false
	default:
		d.add(lane, Step{Kind: CreateVolume, Volume: v.ID, Limit: v.MaximumSize, Spec: d.specUsing(owned), Wanted: v,
			Labels: labels(owned), Reason: "it is new and placed here" + origin(v.Origin)})
	}
	return true
}

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
func (d *differ) rollBack(lane string, owned cluster.OwnedVolume, held volume.Copy) bool {
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
func (d *differ) relieve(lane string, held volume.Copy) {
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
func (d *differ) specUsing(owned cluster.OwnedVolume) runtime.Spec {
	for _, app := range d.slice.Applications {
		if app.Volume != nil && app.Volume.Volume == owned.Volume.ID {
			return runtime.Spec{Application: app, Epoch: owned.Ownership.Epoch,
				VolumePath: d.seen.Path(owned.Volume.ID), Address: d.seen.Address, Private: d.seen.Private}
		}
	}
	return runtime.Spec{}
}

// wishedSnapshots makes the snapshots that users asked of this owner.
func (d *differ) wishedSnapshots(lane string, owned cluster.OwnedVolume, held volume.Copy) {
	exists := by(held.Snapshots, func(s cluster.Snapshot) cluster.SnapshotName { return s.Name })
	for _, wish := range owned.Volume.Snapshots {
		if _, made := exists[wish.Name]; !made && wish.Epoch == owned.Ownership.Epoch {
			d.add(lane, Step{Kind: Snapshot, Volume: owned.Volume.ID, Name: wish.Name, Reason: "a user asked for it"})
		}
	}
}

// unwantedSnapshots removes those that users no longer want.
func (d *differ) unwantedSnapshots(lane string, owned cluster.OwnedVolume, held volume.Copy) {
	wanted := by(owned.Volume.Snapshots, func(w cluster.SnapshotWish) cluster.SnapshotName { return w.Name })
	for _, s := range held.Snapshots {
		if _, stays := wanted[s.Name]; s.Kept && !stays {
			d.add(lane, Step{Kind: DropSnapshot, Volume: owned.Volume.ID, Name: s.Name, Reason: "no longer wanted"})
		}
	}
}

func labels(owned cluster.OwnedVolume) volume.Labels {
	return volume.Labels{Name: owned.Volume.Name, Application: owned.Application}
}

// label shows what the volume is called where the backend can.
func (d *differ) label(lane string, held volume.Copy, want volume.Labels) {
	if held.Labels != nil && *held.Labels != want {
		d.add(lane, Step{Kind: LabelVolume, Volume: held.Volume, Labels: want, Reason: "its name or its application is another one"})
	}
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
		d.add(lane, Step{Kind: GiveUp, Volume: id, Move: move, Reason: "the hand-off did not work out; the application runs here again"})
	case move.Phase == cluster.PhasePrepare && move.Ready:
		d.add(lane, Step{Kind: HandOff, Volume: id, Move: move,
			Reason: fmt.Sprintf("wanted on %s, which is ready", d.nodeName(move.To))})
	case move.Phase == cluster.PhasePrecopy, move.Phase == cluster.PhaseHold, move.Phase == cluster.PhaseFinal:
		d.add(lane, Step{Kind: GiveUp, Volume: id, Move: move,
			Reason: "the hand-off was interrupted; the application runs here again"})
	}
}
