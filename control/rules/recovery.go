package rules

import (
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// MostWitnesses is how many nodes are noted that have seen that the store went back.
const MostWitnesses = 2

// Suspect notes that the store has gone back, to a backup say, as one node has seen. From then on nothing
// is destroyed on its word until an operator accepts it.
func (w *Write) Suspect(witness cluster.NodeID, why string) {
	r, known := w.Recoveries.Get("store")
	if slices.Contains(r.Witnesses, witness) || len(r.Witnesses) >= MostWitnesses {
		return
	}
	if !known {
		r = records.Recovery{Noticed: w.View.Wall, Why: why}
	}
	r.Witnesses = append(slices.Clip(r.Witnesses), witness)
	w.Recoveries.Put(r)
	w.everyone()
	if known {
		return
	}
	w.Tell(cluster.Event{Kind: "store went back", Message: why + ": the records are older than what nodes have acted on; nothing is destroyed until an operator accepts them"})
}

// Place takes in where a node stands that registers, and reports whether the store has gone back since.
func (w *Write) Place(n cluster.Node) (lost bool) {
	if w.View.Knows(n.ID, n.Told) {
		return false
	}
	w.Suspect(n.ID, fmt.Sprintf("%s has been told what the store does not know: revision %d in a life of the control service that has not got so far on record",
		w.Node(n.ID), n.Told.Revision>>view.RevisionsPerWrite))
	return true
}

// absent refuses to go on while nodes have not said what they have, but for those that are named.
func (w *Write) absent(without []string) error {
	gone := set[cluster.NodeID]{}
	for _, name := range without {
		id, err := w.resolve(name)
		if err != nil {
			return err
		}
		gone[id] = struct{}{}
	}
	for _, id := range w.View.Absent() {
		if _, known := gone[id]; !known {
			name := w.Node(id)
			return cluster.WithHint(fmt.Errorf("%w: %s has not said yet what it has", cluster.ErrRefused, name),
				fmt.Sprintf("wait until it has; or, if it is gone for good, accept without it: drover control accept --yes --without %s", name))
		}
	}
	return nil
}

// unaccepted refuses what would destroy something, while the store has gone back.
func (w *Write) unaccepted() error {
	if !w.Recovering() {
		return nil
	}
	return cluster.WithHint(fmt.Errorf("%w: the store has gone back, and nothing is destroyed until that is accepted", cluster.ErrConflict),
		"see what is to be accepted with: drover control accept")
}

// Review looks at all volumes: what is known of the store has changed.
func (w *Write) Review() {
	for v := range w.Volumes.All() {
		w.Look(v.ID)
	}
}

// everyone concerns all nodes.
func (w *Write) everyone() {
	for id := range w.Nodes.Each() {
		w.concern(id)
	}
}

// owner returns who owns a volume as far as anybody has seen, and whether that is later than what is on
// record.
func (w *Write) owner(id cluster.VolumeID) (o cluster.Ownership, later bool) {
	o, owned := w.Ownerships.Get(id)
	if !owned {
		return o, false
	}
	return w.View.Owner(o)
}

func (w *Write) above(id cluster.VolumeID) (cluster.Ownership, bool) {
	o, owned := w.Ownerships.Get(id)
	if !owned {
		return o, false
	}
	return w.View.Above(o)
}

// claimed is above, also for a volume that never had an owner on record.
func (w *Write) claimed(id cluster.VolumeID) (cluster.Ownership, bool) {
	o, owned := w.Ownerships.Get(id)
	if !owned {
		o = cluster.Ownership{Volume: id}
	}
	return w.View.Above(o)
}

// suspended refuses what is asked for of a volume of which a copy is above the record.
func (w *Write) suspended(id cluster.VolumeID) error {
	if _, above := w.above(id); !above {
		return nil
	}
	return cluster.WithHint(fmt.Errorf("%w: %s", cluster.ErrConflict, w.View.Superseded(id)), "see what is to be accepted with: drover control accept; or take the later copy away from its node")
}

// suspend tells of a volume of which a copy is above the record, and reports whether nothing more must
// happen to it. On the word of one node alone, what is under way goes on.
func (w *Write) suspend(v cluster.Volume) bool {
	if w.suspended(v.ID) != nil {
		w.conflict(v, w.View.Superseded(v.ID))
		w.concernVolume(v.ID)
	}
	_, later := w.owner(v.ID)
	return later
}

// Accept makes what is on record count again, with what nodes are known to have had since: later
// owners become the owners on record, snapshots that users kept are kept, and no volume goes back to
// a snapshot that was asked for earlier. What is deleted on record is deleted. All nodes must have said what they
// have, but for those without which it is accepted: a volume that only such a one knows of could get another owner.
func (w *Write) Accept(r wire.AcceptRequest) error {
	if err := w.absent(r.Without); err != nil {
		return err
	}
	above := false
	for id, v := range w.Volumes.Each() {
		_, later := w.claimed(id)
		above = above || later && !v.Deleted
	}
	if !w.Recoveries.Drop("store") && !above {
		return fmt.Errorf("%w: there is nothing to accept: the store has not gone back", cluster.ErrConflict)
	}
	for id, n := range w.View.Seen.Nodes.All() {
		if n.Lost != (cluster.Position{}) {
			w.Accepted.Put(records.Accepted{Node: id, Told: n.Lost})
		}
	}
	for v := range w.Volumes.All() {
		o, above := w.claimed(v.ID)
		if above && !v.Deleted && o.Owner != view.Somebody {
			if m, open := w.openMove(v.ID); open && !m.Phase.Committed() {
				m.Aborting = true
				w.rollBack(m, "the store went back, and the volume has another owner since")
			}
			w.putOwnership(o)
			w.wish(v.ID, o.Owner)
			v, _ = w.Volumes.Get(v.ID)
		}
		for _, node := range records.Sorted(w.View.Copies(v.ID)) {
			for _, s := range w.View.Copies(v.ID)[node].Snapshots {
				if s.Kept && !v.Deleted && !slices.Contains(v.SnapshotNames(), s.Name) {
					v.Snapshots = append(slices.Clip(v.Snapshots), cluster.SnapshotRequest{Name: s.Name}) // of no epoch: nobody makes it
				}
			}
		}
		v.Rollback = nil
		w.SetVolume(v)
	}
	w.everyone()
	w.Tell(cluster.Event{Kind: "accepted", Message: "an operator accepts the records as they are"})
	return nil
}
