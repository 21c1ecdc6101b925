package rules

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// TakeOverVolume makes a node that holds a replica the owner of a volume whose owner says that it has
// lost its copy, or was removed. What was written after the replica's last snapshot is lost, and the event
// says of how long that is. An owner that is not heard of may still write: nothing is taken from it.
func (w *Write) TakeOverVolume(nameOrID string, r wire.TakeoverRequest) (cluster.Volume, error) {
	v, ok := w.VolumeNamed(nameOrID)
	if !ok {
		return v, w.NoVolume(nameOrID)
	}
	return w.takeOver(v, r)
}

func (w *Write) takeOver(v cluster.Volume, r wire.TakeoverRequest) (cluster.Volume, error) {
	o, _ := w.Ownerships.Get(v.ID)
	to, err := w.resolve(r.Node)
	if err != nil {
		return v, err
	}
	if err := cmp.Or(w.suspended(v.ID), w.lost(v, o)); err != nil {
		return v, err
	}
	base, err := w.standsIn(v, o, to)
	if err == nil && !r.Older {
		err = w.behind(v, o, to, base)
	}
	if err != nil {
		return v, err
	}
	why, lost := "has lost its copy", fmt.Sprintf("what was written in the %s since is lost", w.View.Wall.Sub(base.Created).Round(time.Second))
	m, open := w.openMove(v.ID)
	switch _, removed := w.Removed.Get(o.Owner); {
	case removed: // what it wrote, nobody has heard
		why = "was removed"
	case open && m.Phase.Committed() && base.GUID == o.Base:
		lost = "nothing is lost, since it had not begun to write"
	}
	w.putOwnership(cluster.Ownership{Volume: v.ID, Owner: to, Epoch: o.Epoch + 1, Created: true, Base: base.GUID})
	w.wish(v.ID, to)
	w.Tell(cluster.Event{Volume: v.ID, Node: to, Kind: "taken over",
		Message: fmt.Sprintf("%s owns volume %s from epoch %d on, because %s %s: it goes on from snapshot %s, and %s",
			w.Node(to), records.Name(v), o.Epoch+1, w.Node(o.Owner), why, base.Name, lost)})
	v, _ = w.Volumes.Get(v.ID)
	return v, nil
}

// loss returns what is known of a copy that an owner should have. What a removed node had is lost to the
// cluster, whatever the node would say.
func (w *Write) loss(o cluster.Ownership) view.Loss {
	if r, removed := w.Removed.Get(o.Owner); removed {
		return view.Loss{What: "it was removed " + records.Past(r.At, r.By), Found: true}
	}
	return w.View.Loss(o)
}

// lost refuses to take a volume from an owner that has a copy, or that may have one.
func (w *Write) lost(v cluster.Volume, o cluster.Ownership) error {
	if m, open := w.onItsWay(v.ID); open {
		return w.moving(m)
	}
	if l, ok := w.Leases.Get(v.ID); ok && !l.Expired(w.View.Wall) {
		return fmt.Errorf("%w: a lease keeps it on %s %s", cluster.ErrConflict, w.Node(l.Node), Until(l))
	}
	owner := w.Node(o.Owner)
	switch loss := w.loss(o); {
	case o.Owner == "" || !o.Created:
		return fmt.Errorf("%w: it has no owner that could have lost it", cluster.ErrConflict)
	case loss.Unknown != "":
		err := fmt.Errorf("%w: owner %s %s: it may still have its copy, and write it", cluster.ErrUnavailable, owner, loss.Unknown)
		return cluster.WithHint(err, w.waitOrRemove(o.Owner))
	case loss.What == "":
		err := fmt.Errorf("%w: owner %s has its copy", cluster.ErrConflict, owner)
		return cluster.WithHint(err, fmt.Sprintf("move it: drover move %s NODE", records.Name(v)))
	case len(loss.Users) > 0:
		return fmt.Errorf("%w: on %s it is still used by %s", cluster.ErrConflict, owner, records.List(loss.Users))
	}
	return nil
}

// waitOrRemove is what to do about an owner of which nothing is known.
func (w *Write) waitOrRemove(node cluster.NodeID) string {
	if w.View.InTouch(node) {
		return "wait until it says what it has"
	}
	called := w.Node(node)
	return fmt.Sprintf("wait until it is back; or, if its host is gone for good: drover node rm %[1]s, and then take over; or drover node replace %[1]s NODE", called)
}

// standsIn returns the snapshot that the replica of a node is at.
func (w *Write) standsIn(v cluster.Volume, o cluster.Ownership, node cluster.NodeID) (cluster.Snapshot, error) {
	called := w.Node(node)
	if !w.View.InTouch(node) {
		return cluster.Snapshot{}, fmt.Errorf("%w: %s has not been heard of for %s", cluster.ErrUnavailable, called, w.View.Silence(node).Round(time.Second))
	}
	held, exists := w.View.Copies(v.ID)[node]
	at := slices.IndexFunc(held.Snapshots, func(s cluster.Snapshot) bool { return s.GUID == held.Head && held.Head != "" })
	switch {
	case !exists || node == o.Owner:
		return cluster.Snapshot{}, fmt.Errorf("%w: %s holds no replica of it; replicas are on: %s", cluster.ErrRefused, called, records.List(w.replicas(v, o)))
	case held.Role != cluster.Replica || held.Epoch > o.Epoch:
		return cluster.Snapshot{}, fmt.Errorf("%w: the copy on %s is a %s of epoch %d", cluster.ErrConflict, called, held.Role, held.Epoch)
	case at < 0:
		return cluster.Snapshot{}, fmt.Errorf("%w: the replica on %s is not at any snapshot: a transfer to it was cut", cluster.ErrConflict, called)
	}
	return held.Snapshots[at], nil
}

// behind refuses a replica that lacks something that another one has, of a node in touch.
func (w *Write) behind(v cluster.Volume, o cluster.Ownership, node cluster.NodeID, base cluster.Snapshot) error {
	best, newest := node, base
	for _, other := range records.Sorted(w.View.Copies(v.ID)) {
		s, err := w.standsIn(v, o, other)
		if err == nil && newest.GUID != o.Base && (s.GUID == o.Base || s.Created.After(newest.Created)) {
			best, newest = other, s
		}
	}
	if newest.GUID == base.GUID {
		return nil
	}
	err := fmt.Errorf("%w: the replica on %s is at snapshot %s, and %s has one that is newer by %s", cluster.ErrRefused,
		w.Node(node), base.Name, w.Node(best), newest.Created.Sub(base.Created).Round(time.Second))
	return cluster.WithHint(err, fmt.Sprintf("take that: drover volume takeover %s %s; with --older this one is taken, and what was written in between is lost",
		records.Name(v), w.Node(best)))
}

func (w *Write) replicas(v cluster.Volume, o cluster.Ownership) []string {
	var names []string
	copies := w.View.Copies(v.ID)
	for _, node := range records.Sorted(copies) {
		if node != o.Owner && copies[node].Role == cluster.Replica {
			names = append(names, w.Node(node))
		}
	}
	return names
}
