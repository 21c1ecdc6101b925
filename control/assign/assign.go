// Package assign says what one node gets of everything: a pure function of a View.
package assign

import (
	"iter"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
)

// To derives what is a node's own in its assignment: everything but the revision, the routes, the
// nodes, the keys and the logs. Its cost grows with what the node has, not with the cluster.
func To(v view.View, node cluster.NodeID) cluster.Assignment {
	return cluster.Assignment{
		Node:         node,
		Applications: applications(v, node),
		Volumes:      owned(v, node),
		Owners:       foreign(v, node),
		Deleted:      deleted(v, node),
		Moves:        moves(v, node),
		Arriving:     arriving(v, node),
		Drains:       drains(v, node),
		Recovering:   v.Model.Recovering(),
	}
}

// What is on record of owners is not what counts for a volume of which a copy is above it: see
// view.View.Above. Its owner of the day gets nothing, and goes on by what it had; who is not the owner any
// more is told who is.

// applications returns what shall run on the node: the users of the volumes that it owns, wherever
// the configuration wants them later, and those without a volume that are placed there or that have
// not got ready elsewhere yet.
func applications(v view.View, node cluster.NodeID) []cluster.Application {
	here := map[cluster.AppName]cluster.Application{}
	for id := range v.Model.Index.Owned.Of(node) {
		if a, ok := v.Model.User(id); ok && a.Node != "" && !suspended(v, id) {
			here[a.Name] = a
		}
	}
	for _, names := range []iter.Seq[cluster.AppName]{v.Model.Index.Placed.Of(node), v.Model.Index.Drained.Of(node)} {
		for name := range names {
			if a, ok := v.Model.Applications.Get(name); ok {
				here[name] = a
			}
		}
	}
	out := []cluster.Application{}
	for _, name := range records.Sorted(here) {
		out = append(out, here[name])
	}
	return out
}

func owned(v view.View, node cluster.NodeID) []cluster.OwnedVolume {
	out := []cluster.OwnedVolume{}
	for id := range v.Model.Index.Owned.Of(node) {
		volume, ok := v.Model.Volumes.Get(id)
		o, _ := v.Model.Ownerships.Get(id)
		if ok && (!volume.Deleted || unopened(v, o)) && !suspended(v, id) {
			app, _ := v.Model.User(id)
			if v.Model.Recovering() {
				volume = undestroyed(volume, v.Copies(id)[node])
			}
			out = append(out, cluster.OwnedVolume{Volume: volume, Ownership: o, Application: app.Name})
		}
	}
	return out
}

// unopened reports whether the owner of a volume has yet to open what it was given. That comes before it is
// deleted: what has never been the owner's own could not be brought back. What it reported last may be of before
// the last round arrived. An owner that cannot open what it has says so.
func unopened(v view.View, o cluster.Ownership) bool {
	c := v.Copies(o.Volume)[o.Owner]
	return o.Base != "" && c.Role == cluster.Replica && (c.Head == o.Base || !v.Seen.Conflicts(o.Owner, o.Volume))
}

func suspended(v view.View, id cluster.VolumeID) bool {
	o, _ := v.Model.Ownerships.Get(id)
	_, later := v.Owner(o)
	return later
}

// undestroyed returns a volume as its owner is told of it while the store may have gone back: nothing
// that its copy holds is taken from it on the word of that store. Snapshots that are kept stay, and
// what was undone once is not undone again.
func undestroyed(v cluster.Volume, c cluster.Copy) cluster.Volume {
	v.Rollback = nil
	v.Snapshots = slices.Clone(v.Snapshots)
	for _, name := range unwanted(v, c) {
		v.Snapshots = append(v.Snapshots, cluster.SnapshotRequest{Name: name}) // of no epoch: nobody makes it
	}
	return v
}

// foreign tells of the volumes of which the node has a copy that is not the owner's. Of a volume
// that was never heard of, or that is deleted, it says nothing.
func foreign(v view.View, node cluster.NodeID) []cluster.ForeignVolume {
	var out []cluster.ForeignVolume
	for _, id := range records.Sorted(v.Seen.Held(node)) {
		volume, known := v.Model.Volumes.Get(id)
		o, owned := v.Model.Ownerships.Get(id)
		if !owned || !known || volume.Deleted {
			continue
		}
		held := v.Copies(id)[node]
		o, later := v.Owner(o)
		if o.Owner == node || later && held.Epoch >= o.Epoch {
			continue
		}
		if v.Model.Recovering() && held.Role != cluster.Primary {
			continue // who is not told who owns it keeps it
		}
		app, _ := v.Model.User(id)
		told := cluster.ForeignVolume{Ownership: o, Name: volume.Name, Application: app.Name}
		if !v.Model.Recovering() {
			told.Unwanted = unwanted(volume, held)
		}
		out = append(out, told)
	}
	return out
}

// unwanted returns the snapshots of a copy that users kept and no longer want.
func unwanted(v cluster.Volume, c cluster.Copy) []cluster.SnapshotName {
	var names []cluster.SnapshotName
	wanted := v.SnapshotNames()
	for _, s := range c.Snapshots {
		if s.Kept && !slices.Contains(wanted, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

func deleted(v view.View, node cluster.NodeID) []cluster.VolumeID {
	var out []cluster.VolumeID
	if v.Model.Recovering() {
		return nil
	}
	for _, id := range records.Sorted(v.Seen.Held(node)) {
		o, _ := v.Model.Ownerships.Get(id)
		if volume, ok := v.Model.Volumes.Get(id); ok && volume.Deleted && !(o.Owner == node && unopened(v, o)) {
			out = append(out, id)
		}
	}
	return out
}

func moves(v view.View, node cluster.NodeID) []cluster.Move {
	var out []cluster.Move
	for _, move := range v.Model.OpenMoves() {
		if move.From == node || move.To == node {
			out = append(out, move)
		}
	}
	return out
}

func arriving(v view.View, node cluster.NodeID) []cluster.Arrival {
	var out []cluster.Arrival
	for _, move := range v.Model.OpenMoves() {
		volume, ok := v.Model.Volumes.Get(move.Volume)
		if move.To != node || !ok {
			continue
		}
		from, _ := v.Model.Nodes.Get(move.From)
		a := cluster.Arrival{Move: move.ID, Volume: volume, FromBackend: from.Backend,
			NeedBytes: v.Copies(move.Volume)[move.From].UsedBytes}
		if app, ok := v.Model.User(move.Volume); ok {
			a.Application = &app
		}
		out = append(out, a)
	}
	for name := range v.Model.Index.Placed.Of(node) {
		if left, leaving := v.Model.Drains.Get(name); leaving {
			app, _ := v.Model.Applications.Get(name)
			out = append(out, cluster.Arrival{Application: &app, From: left.Node})
		}
	}
	return out
}

// drains says where the applications go that a node runs until they are there.
func drains(v view.View, node cluster.NodeID) []cluster.Drain {
	var out []cluster.Drain
	for name := range v.Model.Index.Drained.Of(node) {
		if app, ok := v.Model.Applications.Get(name); ok && app.Node != "" {
			out = append(out, cluster.Drain{Application: name, To: app.Node})
		}
	}
	return out
}
