// Package view is everything that the control service knows at one instant: the records, what nodes
// have said of themselves, the service's patience, and the time. Rules, assignments and reports are
// functions of a View, so that none of them looks twice and sees two things.
//
// What a View shows does not change, whatever happens meanwhile: it is good for as long as somebody wants to look
// at that instant. One that shares its Seen with the service is good for as long as its owner holds the service's lock.
package view

import (
	"math"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// RevisionsPerWrite is by how many bits the revision of an assignment is above that of the store.
const RevisionsPerWrite = 20

// Never is a revision that nothing gets to.
const Never cluster.Revision = math.MaxInt64

// A View is everything at one instant.
type View struct {
	// Model is what is on record.
	Model *records.Model
	// Seen is what nodes have said since Started, when the service started.
	Seen    *Seen
	Started time.Time
	Timing  Timing
	// Now is the present of a clock that does not jump while the service runs: all waiting goes by it. Wall is
	// that of the host's clock, which people know: leases end by it, events are dated by it. Both are in UTC.
	Now, Wall time.Time
	// KeptMoves is how many of the moves that have ended are kept; zero: as many as usual.
	KeptMoves int
	// NewID returns an id that nothing else has.
	NewID func() string
}

// InTouch reports whether a node was heard of a short time ago, and of one agent only.
func (v View) InTouch(id cluster.NodeID) bool {
	n := v.Seen.Nodes.At(id)
	return n != nil && n.Rival == "" && !n.Heard.IsZero() && v.Now.Sub(n.Heard) <= v.Timing.Liveness
}

// Silence returns for how long a node has not been heard of; at most since the service started.
func (v View) Silence(id cluster.NodeID) time.Duration {
	last := v.Started
	if n := v.Seen.Nodes.At(id); n != nil && n.Heard.After(last) {
		last = n.Heard
	}
	return v.Now.Sub(last)
}

// Awaited reports whether a node may yet say that it is there: the service has just started.
func (v View) Awaited(id cluster.NodeID) bool {
	n := v.Seen.Nodes.At(id)
	return n != nil && n.Heard.IsZero() && v.Now.Sub(v.Started) <= v.Timing.Liveness
}

// Unheard reports whether there are nodes that may hold anything: on record, but silent since the
// service started. It waits for them for the time in which a node that is there would have come.
func (v View) Unheard() bool {
	starting := v.Now.Sub(v.Started) <= v.Timing.Liveness
	for id, n := range v.Seen.Nodes.All() {
		if n.Silent && (starting || v.InTouch(id)) {
			return true
		}
	}
	return false
}

// Absent returns the nodes on record that may hold volumes and have not said which in this life of the service.
func (v View) Absent() []cluster.NodeID {
	var absent []cluster.NodeID
	for node := range v.Model.Nodes.All() {
		if n := v.Seen.Nodes.At(node.ID); !node.RoutesOnly && (n == nil || n.Silent) {
			absent = append(absent, node.ID)
		}
	}
	return absent
}

// State returns what a node that is in touch last said of itself; nil if it has not said anything.
func (v View) State(id cluster.NodeID) *cluster.NodeState {
	if !v.InTouch(id) {
		return nil
	}
	return v.Seen.Nodes.At(id).State
}

// Hears reports whether a node that is in touch says that another one takes part in membership. One that
// lists who is missing says so of all others that it knew when it looked.
func (v View) Hears(by, id cluster.NodeID) bool {
	state := v.State(by)
	switch {
	case state == nil || by == id:
		return false
	case state.Missing == nil:
		return state.Peers[id] == "alive"
	}
	_, missed := slices.BinarySearch(state.Missing, id)
	is, _ := v.Model.Nodes.Get(id)
	n := v.Seen.Nodes.At(id)
	return is.GossipAddress != "" && (n == nil || v.Seen.Nodes.At(by).Told >= n.Joined) && !missed
}

// Copies returns the copies of a volume that nodes have reported. They must not be changed.
func (v View) Copies(id cluster.VolumeID) map[cluster.NodeID]cluster.Copy {
	return v.Seen.copies.At(id)
}

// Above returns what nodes say of owners later than one: the highest epoch of a copy above it, and the
// node whose primary copy has it. The record of a volume is written before anybody acts on it, so a
// copy above it says that the store has gone back. Owner is Somebody if there is no such primary copy, or
// more than one.
func (v View) Above(o cluster.Ownership) (later cluster.Ownership, above bool) {
	highest := o.Epoch
	var primaries []cluster.NodeID
	for node, c := range v.Copies(o.Volume) {
		if c.Epoch > highest {
			highest, primaries = c.Epoch, nil
		}
		if c.Epoch == highest && c.Role == cluster.Primary {
			primaries = append(primaries, node)
		}
	}
	if highest == o.Epoch {
		return o, false
	}
	later = cluster.Ownership{Volume: o.Volume, Owner: Somebody, Epoch: highest, Created: true}
	if len(primaries) == 1 {
		later.Owner = primaries[0]
	}
	return later, true
}

// Owner returns who owns a volume as far as anybody has seen: the owner on record, or the later one of a
// copy above the record. The word of one node is not enough for the latter, since it could take over
// what belongs to others: another node must have seen that the store went back, unless it is the
// owner on record itself that owns it later.
func (v View) Owner(o cluster.Ownership) (owner cluster.Ownership, later bool) {
	claim, above := v.Above(o)
	if !above {
		return o, false
	}
	if claim.Owner == o.Owner {
		return claim, true
	}
	copies := v.Copies(o.Volume)
	r, _ := v.Model.Recoveries.Get("store")
	for _, witness := range r.Witnesses {
		if witness != claim.Owner && (claim.Owner != Somebody || copies[witness].Epoch < claim.Epoch) {
			return claim, true
		}
	}
	return o, false
}

// Somebody stands for a node of which only that much is known.
const Somebody cluster.NodeID = "another node"

// Merged returns a move with what its source reported of it.
func (v View) Merged(m cluster.Move) cluster.Move { return v.Seen.Progress.At(m.ID).merge(m) }

// Keeps returns the paths at which an application has data of its own on a node: in its container, or
// between two containers.
func (v View) Keeps(node cluster.NodeID, name cluster.AppName) []string {
	state := v.State(node)
	if state == nil {
		return nil
	}
	for _, a := range state.Applications {
		if a.Name == name {
			return a.Keeps
		}
	}
	var paths []string
	for _, kept := range state.Kept {
		if kept.Application == name {
			paths = append(paths, kept.Path)
		}
	}
	return paths
}
