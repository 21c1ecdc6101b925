package control

import "github.com/drover/drover/cluster"

// part derives what is a node's own in its slice: everything but the revision, the routes, the
// nodes, the keys and the logs. Its cost grows with what the node has, not with the cluster.
func part(m *model, seen observed, node cluster.NodeID) cluster.Slice {
	return cluster.Slice{
		Node:         node,
		Applications: applicationsOn(m, node),
		Volumes:      volumesOf(m, node),
		Owners:       ownersFor(m, seen, node),
		Deleted:      deletedOn(m, seen, node),
		Moves:        movesOf(m, node),
		Arriving:     arrivalsAt(m, seen, node),
	}
}

// applicationsOn returns what shall run on the node: the users of the volumes that it owns,
// wherever the configuration wants them later, and those without a volume that are placed there
// or that have not got ready elsewhere yet.
func applicationsOn(m *model, node cluster.NodeID) []cluster.Application {
	here := map[cluster.AppName]cluster.Application{}
	for id := range m.index.owned[node] {
		if a, ok := m.user(id); ok && a.Node != "" {
			here[a.Name] = a
		}
	}
	for _, names := range []set[cluster.AppName]{m.index.placed[node], m.index.leaving[node]} {
		for name := range names {
			if a, ok := m.applications.get(name); ok {
				here[name] = a
			}
		}
	}
	out := []cluster.Application{}
	for _, name := range sorted(here) {
		out = append(out, here[name])
	}
	return out
}

func volumesOf(m *model, node cluster.NodeID) []cluster.OwnedVolume {
	out := []cluster.OwnedVolume{}
	for _, id := range sorted(m.index.owned[node]) {
		v, ok := m.volumes.get(id)
		o, _ := m.ownerships.get(id)
		if ok && !v.Deleted {
			app, _ := m.user(id)
			out = append(out, cluster.OwnedVolume{Volume: v, Ownership: o, Application: app.Name})
		}
	}
	return out
}

// ownersFor tells of the volumes of which the node has a copy that is not the owner's. Of a volume
// that was never heard of, or that is deleted, it says nothing.
func ownersFor(m *model, seen observed, node cluster.NodeID) []cluster.ForeignVolume {
	var out []cluster.ForeignVolume
	for _, id := range sorted(seen.held[node]) {
		v, known := m.volumes.get(id)
		if o, ok := m.ownerships.get(id); ok && known && !v.Deleted && o.Owner != node {
			app, _ := m.user(id)
			out = append(out, cluster.ForeignVolume{Ownership: o, Name: v.Name, Application: app.Name,
				Unwanted: unwanted(v, seen.copies[id][node])})
		}
	}
	return out
}

// unwanted returns the snapshots of a copy that users kept and no longer want.
func unwanted(v cluster.Volume, c cluster.VolumeState) []cluster.SnapshotName {
	var names []cluster.SnapshotName
	for _, s := range c.Snapshots {
		if s.Kept && !wished(v, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

func deletedOn(m *model, seen observed, node cluster.NodeID) []cluster.VolumeID {
	var out []cluster.VolumeID
	for _, id := range sorted(seen.held[node]) {
		if v, ok := m.volumes.get(id); ok && v.Deleted {
			out = append(out, id)
		}
	}
	return out
}

func movesOf(m *model, node cluster.NodeID) []cluster.Move {
	var out []cluster.Move
	for _, move := range m.openMoves() {
		if move.From == node || move.To == node {
			out = append(out, move)
		}
	}
	return out
}

func arrivalsAt(m *model, seen observed, node cluster.NodeID) []cluster.Arrival {
	var out []cluster.Arrival
	for _, move := range m.openMoves() {
		v, ok := m.volumes.get(move.Volume)
		if move.To != node || !ok {
			continue
		}
		from, _ := m.nodes.get(move.From)
		a := cluster.Arrival{Move: move.ID, Volume: v, FromBackend: from.Backend,
			NeedBytes: seen.copies[move.Volume][move.From].UsedBytes}
		if app, ok := m.user(move.Volume); ok {
			a.Application = &app
		}
		out = append(out, a)
	}
	return out
}
