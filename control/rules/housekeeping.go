package rules

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
)

// KeptMoves is how many of the moves that have ended are kept.
const KeptMoves = 1_000

// Tidy does what is due. Each time it looks at everything that can become due, which is little: open
// moves, leases, volumes without an owner, and the nodes that came into touch, or went out of it,
// since it was done last.
func (w *Write) Tidy(turned map[cluster.NodeID]bool) {
	w.expireLeases()
	for id := range w.View.Model.Index.Open.Keys() {
		w.Look(id)
	}
	for id := range w.View.Model.Index.Ownerless.Keys() {
		w.Look(id)
	}
	for id, live := range turned {
		w.turnedNode(id, live)
	}
	w.forgetMoves()
	w.forgetVolumes()
}

// turnedNode tells of a node that is no longer heard of, and has the routes derived anew that
// lead to it.
func (w *Write) turnedNode(id cluster.NodeID, live bool) {
	if n := w.View.Seen.Nodes.At(id); !live && n.Rival == "" {
		w.Tell(cluster.Event{Node: id, Kind: "lost", Message: fmt.Sprintf("node %s has not been heard of for %s; what it holds stays on record",
			w.Node(id), w.View.Silence(id).Round(time.Second))})
	}
	for volume := range w.View.Model.Index.Owned.Of(id) {
		w.Look(volume)
	}
	for _, names := range []iter.Seq[cluster.AppName]{w.View.Model.Index.Placed.Of(id), w.View.Model.Index.Drained.Of(id)} {
		for name := range names {
			w.LookAt(name)
		}
	}
}

// forgetMoves drops the oldest of the moves that have ended, when there are too many of them.
func (w *Write) forgetMoves() {
	kept := cmp.Or(w.View.KeptMoves, KeptMoves)
	if w.Moves.Len() <= kept {
		return
	}
	var ended []cluster.Move
	for _, m := range w.Moves.Each() {
		if m.Phase.Ended() {
			ended = append(ended, m)
		}
	}
	slices.SortFunc(ended, func(a, b cluster.Move) int { return a.Ended.Compare(b.Ended) })
	for _, m := range ended[:max(0, len(ended)-kept)] {
		w.Moves.Drop(m.ID)
	}
}

// tombstone is how long a deleted volume is remembered whose owner does not say how long it keeps what
// it removed.
const tombstone = 7 * 24 * time.Hour

// forgetVolumes forgets the volumes that were deleted so long ago that nothing is left of them to bring
// back. Of a node that has not said what it has that is unknown: they are kept.
func (w *Write) forgetVolumes() {
	for id := range w.View.Model.Index.Deleted.Keys() {
		v, _ := w.Volumes.Get(id)
		o, owned := w.Ownerships.Get(id)
		if !v.Deleted || w.Recovering() || owned && !w.nothingLeft(v, o) {
			continue
		}
		if _, open := w.OpenMove(id); open || len(w.View.Copies(id)) > 0 || w.View.Wall.Sub(v.DeletedAt) < w.remembered(o.Owner) {
			continue
		}
		w.Volumes.Drop(id)
		w.Ownerships.Drop(id)
		w.Leases.Drop(id)
	}
}

// remembered returns how long a node can bring back what it removed.
func (w *Write) remembered(id cluster.NodeID) time.Duration {
	n, _ := w.Nodes.Get(id)
	return cmp.Or(n.TrashGrace, tombstone)
}

// nothingLeft reports whether the owner of a deleted volume has said that nothing of it is left, or was
// removed.
func (w *Write) nothingLeft(v cluster.Volume, o cluster.Ownership) bool {
	if !w.known(o.Owner) {
		return true
	}
	n := w.View.Seen.Nodes.At(o.Owner)
	return n != nil && n.State != nil && n.State.VolumesUnknown == "" && n.State.Trash != nil &&
		!slices.Contains(n.State.Trash, v.ID) && !slices.Contains(n.State.Unreadable, v.ID) &&
		!slices.ContainsFunc(n.State.TrashReplicas, func(r cluster.TrashReplica) bool { return r.Volume == v.ID })
}
