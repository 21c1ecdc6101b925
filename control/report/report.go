// Package report puts what the control service knows into words and lists, for people: what there is,
// what is missing, what would happen. It is pure, and decides nothing.
package report

import (
	"cmp"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// recentMoves is how many of the moves that have ended are part of a Status.
const recentMoves = 5

// A Told is what a node is told now, and how far it has got with that.
type Told struct {
	// Assignment is the node's own part.
	Assignment cluster.Assignment
	Revision   cluster.Revision
	// Due is the revision of what the configuration asks of it: who has seen that has done all.
	Due cluster.Revision
	// Shared is the revision of the routes, and Acknowledged that which its proxy acts on.
	Shared, Acknowledged cluster.Revision
}

// behind reports whether a node has yet to do what it is told.
func (t Told) behind(state *cluster.NodeState) bool {
	return state.Seen < t.Due || max(state.Seen, t.Acknowledged) < t.Shared || state.Seen > t.Revision
}

// Status returns the cluster at a glance.
func Status(v view.View, told func(cluster.NodeID) Told) wire.Status {
	status := wire.Status{
		Revision:      v.Model.Head,
		Nodes:         Nodes(v),
		Configuration: v.Model.Configuration().Clone(),
		Ownerships:    map[cluster.VolumeID]cluster.Ownership{},
		Removed:       map[cluster.NodeID]string{},
		Moves:         moves(v, recentMoves),
		Routes:        slices.AppendSeq([]cluster.Route{}, v.Model.Routes.All()),
	}
	for id := range v.Model.Removed.Each() {
		status.Removed[id] = v.Model.Node(id)
	}
	missing := pending(v, told)
	status.Converged, status.Pending, status.Gone = missing.Converged, missing.Pending, missing.Gone
	for id, o := range v.Model.Ownerships.Each() {
		status.Ownerships[id] = o
	}
	return status
}

// Nodes returns every node, by name.
func Nodes(v view.View) []wire.NodeStatus {
	out := []wire.NodeStatus{}
	for node := range v.Model.Nodes.All() {
		status := wire.NodeStatus{Node: node, State: cluster.NodeState{Node: node.ID}}
		if n := v.Seen.Nodes.At(node.ID); n != nil {
			status.Live = v.InTouch(node.ID)
			if !n.Heard.IsZero() {
				status.Heard = v.Wall.Add(-v.Now.Sub(n.Heard))
			}
			if n.State != nil {
				status.State = *n.State
			}
		}
		out = append(out, status)
	}
	slices.SortFunc(out, func(a, b wire.NodeStatus) int {
		return cmp.Or(cmp.Compare(a.Node.Name, b.Node.Name), cmp.Compare(a.Node.ID, b.Node.ID))
	})
	return out
}

// Moves returns every move on record: open ones first, oldest first; then those that have ended,
// newest first.
func Moves(v view.View) []cluster.Move { return moves(v, v.Model.Moves.Len()) }

// moves returns the open moves and the last that have ended, so many at most.
func moves(v view.View, most int) []cluster.Move {
	out := []cluster.Move{}
	for _, m := range v.Model.OpenMoves() {
		out = append(out, v.Merged(m))
	}
	open := len(out)
	for _, m := range v.Model.Moves.Each() {
		if m.Phase.Ended() {
			out = append(out, m)
		}
	}
	slices.SortFunc(out[open:], func(a, b cluster.Move) int {
		return cmp.Or(b.Ended.Compare(a.Ended), cmp.Compare(a.ID, b.ID))
	})
	return out[:min(len(out), open+most)]
}

// Volumes returns every volume, deleted ones too, by name.
func Volumes(v view.View) []wire.VolumeStatus {
	out := []wire.VolumeStatus{}
	for volume := range v.Model.Volumes.All() {
		out = append(out, volumeStatus(v, volume))
	}
	slices.SortFunc(out, func(a, b wire.VolumeStatus) int {
		return cmp.Or(cmp.Compare(a.Volume.Name, b.Volume.Name), cmp.Compare(a.Volume.ID, b.Volume.ID))
	})
	return out
}

// Volume returns the volume of that name, or that id; by its id a deleted one too.
func Volume(v view.View, nameOrID string) (wire.VolumeStatus, error) {
	volume, ok := v.Model.VolumeNamed(nameOrID)
	if !ok {
		volume, ok = v.Model.Volumes.Get(cluster.VolumeID(nameOrID))
	}
	if !ok {
		return wire.VolumeStatus{}, v.Model.NoVolume(nameOrID)
	}
	status := volumeStatus(v, volume)
	for node, n := range v.Seen.Nodes.All() {
		state := n.State
		if state == nil {
			continue
		}
		for _, aside := range state.SetAside {
			if aside.Volume == volume.ID {
				status.SetAside = append(status.SetAside, wire.SetAsideStatus{Node: node, Copy: aside})
				status.Names[node] = v.Model.Node(node)
			}
		}
	}
	return status, nil
}

// volumeStatus collects what is known of a volume.
func volumeStatus(v view.View, volume cluster.Volume) wire.VolumeStatus {
	o, _ := v.Model.Ownerships.Get(volume.ID)
	app, _ := v.Model.User(volume.ID)
	status := wire.VolumeStatus{Volume: volume, Ownership: o, Application: app.Name, Copies: []wire.CopyStatus{}, Names: map[cluster.NodeID]string{}}
	status.Names[o.Owner] = v.Model.Node(o.Owner)
	copies := v.Copies(volume.ID)
	for _, node := range records.Sorted(copies) {
		status.Names[node] = v.Model.Node(node)
		status.Copies = append(status.Copies, wire.CopyStatus{Node: node, Copy: copies[node]})
	}
	if m, open := v.Model.OpenMove(volume.ID); open {
		m = v.Merged(m)
		status.Move, status.Names[m.To] = &m, v.Model.Node(m.To)
	}
	return status
}

// Brief returns a volume as those list it who keep a list of all.
func Brief(m *records.Model, id cluster.VolumeID) wire.VolumeBrief {
	v, ok := m.Volumes.Get(id)
	brief := wire.VolumeBrief{ID: id, Name: records.Name(v), MaximumSize: v.MaximumSize, Deleted: v.Deleted || !ok}
	if o, owned := m.Ownerships.Get(id); owned {
		brief.Owner, brief.Epoch = m.Node(o.Owner), o.Epoch
	}
	return brief
}
