package view

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// Seen is what nodes have said in this life of the service. The zero Seen is before anybody has said anything.
type Seen struct {
	// Nodes are not changed once they were put here: who may show them to others puts another one.
	Nodes    records.Map[cluster.NodeID, *Node]
	Progress records.Map[cluster.MoveID, Progress]
	// Told are the conflicts that an event told of.
	Told records.Map[cluster.VolumeID, string]

	// The values of both are not changed either.
	copies records.Map[cluster.VolumeID, map[cluster.NodeID]cluster.Copy]
	held   records.Map[cluster.NodeID, records.Set[cluster.VolumeID]]
}

// A Node is what is known of a node in this life of the service.
type Node struct {
	// Silent: it has not said in this life of the service, or since it was booted, which volumes it
	// holds. That is unknown, and unknown is never "none".
	Silent bool
	Heard  time.Time // last call of any kind
	// Asked is when it last asked for its assignment. A node that can do no more than that is not in touch,
	// and yet it runs.
	Asked time.Time
	// Spoke is when it, or its Docker plugin, last called at all: the plugin lives without the agent.
	Spoke time.Time
	// Joined is the revision from which on the others are told of it; zero: since before the service started.
	Joined cluster.Revision
	// Told is the revision of the newest assignment of which it has said that its State was still right.
	Told cluster.Revision
	// Acknowledged is the assignment whose routes its proxy acts on.
	Acknowledged cluster.Revision
	// Lost is where it stood when it registered, if the store does not know that.
	Lost cluster.Position
	// Rival is the other one, if two agents speak as this node; empty: none does.
	Rival string
	// State is the newest report, nil if unknown.
	State *cluster.NodeState
}

// Progress is what the source of a move reported last. It is not durable: a restarted service is
// told again.
type Progress struct {
	Attempt int
	At      time.Time
	Reason  string
	Stats   cluster.Stats
}

// merge returns the move with the progress of its present attempt.
func (p Progress) merge(m cluster.Move) cluster.Move {
	if p.Attempt != m.Attempt || m.Phase.Ended() || m.Phase.Committed() || m.Phase == cluster.PhaseWaiting {
		return m
	}
	m.Stats = p.Stats
	if p.Reason != "" && !m.Aborting {
		m.Reason = p.Reason
	}
	return m
}

// Clone returns the same, which stays as it is when s is changed. Its cost does not grow with what was seen.
func (s *Seen) Clone() *Seen {
	return &Seen{Nodes: s.Nodes.Clone(), Progress: s.Progress.Clone(), Told: s.Told.Clone(), copies: s.copies.Clone(), held: s.held.Clone()}
}

// Held returns the volumes of which a node has reported a copy. They must not be changed.
func (s *Seen) Held(node cluster.NodeID) records.Set[cluster.VolumeID] { return s.held.At(node) }

// Report replaces what is known of a node's copies.
func (s *Seen) Report(node cluster.NodeID, volumes []cluster.Copy) {
	said := map[cluster.VolumeID]*cluster.Copy{}
	for id := range s.Held(node) {
		said[id] = nil
	}
	held := records.Set[cluster.VolumeID]{}
	for _, v := range volumes {
		said[v.Volume] = &v
		held[v.Volume] = struct{}{}
	}
	for id, is := range said {
		s.put(node, id, is)
	}
	if len(held) == 0 {
		s.held.Delete(node)
	} else {
		s.held.Put(node, held)
	}
}

// put sets the copy of a volume that a node has; nil: it has none.
func (s *Seen) put(node cluster.NodeID, id cluster.VolumeID, is *cluster.Copy) {
	copies := map[cluster.NodeID]cluster.Copy{}
	maps.Copy(copies, s.copies.At(id))
	delete(copies, node)
	if is != nil {
		copies[node] = *is
	}
	if len(copies) == 0 {
		s.copies.Delete(id)
	} else {
		s.copies.Put(id, copies)
	}
}

// Conflicts reports whether a node has said that something is wrong with a volume there.
func (s *Seen) Conflicts(node cluster.NodeID, id cluster.VolumeID) bool {
	n := s.Nodes.At(node)
	return n != nil && n.State != nil && slices.ContainsFunc(n.State.Conflicts, func(c cluster.Conflict) bool { return c.Volume == id })
}

// Differences returns the volumes and applications of which two states say different things. A
// nil state says nothing, one that cannot see its volumes nothing of them.
func Differences(was, is *cluster.NodeState) (records.Set[cluster.VolumeID], records.Set[cluster.AppName]) {
	if was == nil {
		was = &cluster.NodeState{}
	}
	if is.VolumesUnknown != "" {
		was, is = &cluster.NodeState{Applications: was.Applications}, &cluster.NodeState{Applications: is.Applications}
	}
	id := func(id cluster.VolumeID) cluster.VolumeID { return id }
	volumes := differing(was.Volumes, is.Volumes, func(v cluster.Copy) cluster.VolumeID { return v.Volume })
	apps := differing(was.Applications, is.Applications, func(a cluster.Instance) cluster.AppName { return a.Name })
	maps.Copy(volumes, differing(was.Made, is.Made, id))
	return volumes, apps
}

// differing returns the ids of the values that are in one list only, or not equal in both.
func differing[K comparable, V any](was, is []V, id func(V) K) records.Set[K] {
	before := make(map[K]V, len(was))
	for _, v := range was {
		before[id(v)] = v
	}
	out := records.Set[K]{}
	for _, v := range is {
		old, ok := before[id(v)]
		if !ok || !reflect.DeepEqual(old, v) {
			out[id(v)] = struct{}{}
		}
		delete(before, id(v))
	}
	for k := range before {
		out[k] = struct{}{}
	}
	return out
}
