package rules

import (
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// Reconcile draws the consequences of a write: first owners, creations, the rules of moves, routes.
// Everything it does follows from what is, not from what just happened, so that it can be done
// again at any time.
func (w *Write) Reconcile() {
	for len(w.volumes) > 0 {
		volumes := w.volumes
		w.volumes = set[cluster.VolumeID]{}
		for _, id := range records.Sorted(volumes) {
			w.reconcileVolume(id)
			if app, ok := w.User(id); ok {
				w.LookAt(app.Name)
			}
		}
	}
	for _, name := range records.Sorted(w.apps) {
		w.reconcileApplication(name)
	}
}

// reconcileVolume applies the rules of ownership and moves to one volume.
func (w *Write) reconcileVolume(id cluster.VolumeID) {
	v, ok := w.Volumes.Get(id)
	if !ok {
		return
	}
	o, owned := w.Ownerships.Get(id)
	if !owned {
		w.firstOwner(v)
		return
	}
	if w.suspend(v) {
		return
	}
	if w.View.Created(o) {
		o.Created = true
		w.putOwnership(o)
	}
	if m, open := w.openMove(id); open {
		w.advance(w.disproved(m, o), v, o)
	}
	w.beginMove(id)
}

// firstOwner makes the node where the user wants a new volume its owner: only if it never had
// one, and no node has a copy of it. What nodes hold that have not said so yet is unknown; they
// are waited for.
func (w *Write) firstOwner(v cluster.Volume) {
	if _, known := w.Nodes.Get(v.Primary); v.Deleted || !known {
		return
	}
	if what := w.View.Strays(v); what != "" {
		w.conflict(v, what)
		return
	}
	if w.unheard() || w.Recovering() {
		return
	}
	w.putOwnership(cluster.Ownership{Volume: v.ID, Owner: v.Primary, Epoch: 1})
	w.Tell(cluster.Event{Volume: v.ID, Node: v.Primary, Kind: "owner",
		Message: fmt.Sprintf("%s is the first owner of volume %s", w.Node(v.Primary), records.Name(v))})
}

// conflict tells once of a conflict, not each time that it is met.
func (w *Write) conflict(v cluster.Volume, what string) {
	if w.Told[v.ID] == what || w.View.Seen.Told.At(v.ID) == what {
		return
	}
	w.Told[v.ID] = what
	w.Tell(cluster.Event{Volume: v.ID, Kind: "conflict", Message: what})
}
