package records

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/drover/drover/cluster"
)

// Nouns are the tables of all nouns, and this is the one list of them: a new noun is a field, and a
// line of newNouns.
type Nouns struct {
	Applications *Table[cluster.AppName, cluster.Application]
	Drains       *Table[cluster.AppName, Drain]
	Ownerships   *Table[cluster.VolumeID, cluster.Ownership]
	Volumes      *Table[cluster.VolumeID, cluster.Volume]
	Leases       *Table[cluster.VolumeID, cluster.Lease]
	Moves        *Table[cluster.MoveID, cluster.Move]
	Nodes        *Table[cluster.NodeID, cluster.Node]
	Removed      *Table[cluster.NodeID, cluster.RemovedNode]
	Routes       *Table[int, cluster.Route]
	Keys         *Table[string, cluster.UserKey]
	Revocations  *Table[string, cluster.Revocation]
	Recoveries   *Table[string, Recovery]
	Lives        *Table[string, Life]
	Accepted     *Table[cluster.NodeID, Accepted]
	Speakers     *Table[cluster.NodeID, Speaker]

	list []table
}

func newNouns() *Nouns {
	n := &Nouns{}
	n.Applications = noun(n, "application", func(a cluster.Application) cluster.AppName { return a.Name }, (*Index).application)
	n.Drains = noun(n, "departure", func(d Drain) cluster.AppName { return d.Application }, (*Index).drain) // as it was called at first
	n.Ownerships = noun(n, "ownership", func(o cluster.Ownership) cluster.VolumeID { return o.Volume }, (*Index).ownership)
	n.Volumes = noun(n, "volume", func(v cluster.Volume) cluster.VolumeID { return v.ID }, (*Index).volume)
	n.Leases = noun(n, "lease", func(l cluster.Lease) cluster.VolumeID { return l.Volume }, nil)
	n.Moves = noun(n, "move", func(m cluster.Move) cluster.MoveID { return m.ID }, (*Index).move)
	n.Nodes = noun(n, "node", func(n cluster.Node) cluster.NodeID { return n.ID }, nil)
	n.Removed = noun(n, "removed", func(n cluster.RemovedNode) cluster.NodeID { return n.ID }, nil)
	n.Routes = noun(n, "route", func(r cluster.Route) int { return r.External }, nil)
	n.Keys = noun(n, "key", func(k cluster.UserKey) string { return k.Name }, nil)
	n.Revocations = noun(n, "revocation", func(r cluster.Revocation) string { return r.User }, nil)
	n.Recoveries = noun(n, "recovery", func(Recovery) string { return "store" }, nil) // one at most
	n.Lives = noun(n, "life", func(l Life) string { return l.ID }, nil)
	n.Accepted = noun(n, "accepted", func(a Accepted) cluster.NodeID { return a.Node }, nil)
	n.Speakers = noun(n, "speaker", func(s Speaker) cluster.NodeID { return s.Node }, nil)
	return n
}

func noun[K cmp.Ordered, V any](n *Nouns, name string, id func(V) K, index func(x *Index, was, is *V)) *Table[K, V] {
	t := &Table[K, V]{noun: name, id: id, index: index}
	n.list = append(n.list, t)
	return t
}

// A Drain is an application without a volume that goes on running on the node that it was placed on
// before, until it is healthy on the node where it is placed now.
type Drain struct {
	Application cluster.AppName `json:"application"`
	Node        cluster.NodeID  `json:"node"`
}

// A Recovery is the time from when the store is seen to have gone back, to a backup say, until an
// operator accepts what it holds: until then nothing is destroyed on its word.
type Recovery struct {
	Noticed time.Time `json:"noticed"`
	// Why is the evidence.
	Why string `json:"why"`
	// Witnesses are nodes that have acted on what the store does not know any more: two at most, so that
	// of any node there is another one that says the same.
	Witnesses []cluster.NodeID `json:"witnesses"`
}

// A Life is one of the control service, from a start on. It began with the revision of its record, and the next one
// began where it ended: the lives on record are the lineage of the store.
type Life struct {
	ID    string    `json:"id"`
	Began time.Time `json:"began"`
}

// A Speaker is the process that was taken for a node last.
type Speaker struct {
	Node cluster.NodeID `json:"node"`
	// Token is a hash of what it calls itself, and Seat where it is.
	Token string `json:"token"`
	Seat  string `json:"seat,omitempty"`
}

// Is reports whether a process that calls itself that, and is there, is the speaker, or was started in its place.
func (s Speaker) Is(instance, seat string) bool {
	return s.Token == hashOf(instance) || seat != "" && s.Seat == seat
}

// PutSpeaker sets the process that is taken for a node; of one that does not say who it is, none is known.
func (tx *Tx) PutSpeaker(node cluster.NodeID, instance, seat string) {
	if instance == "" {
		tx.Speakers.Drop(node)
		return
	}
	tx.Speakers.Put(Speaker{node, hashOf(instance), seat})
}

func hashOf(instance string) string {
	sum := sha256.Sum256([]byte(instance))
	return hex.EncodeToString(sum[:])
}

// Accepted is how far a node had been told of what the store does not know, when an operator accepted the records:
// that it was told so says nothing new.
type Accepted struct {
	Node cluster.NodeID   `json:"node"`
	Told cluster.Position `json:"told"`
}

// Recovering reports whether the store has gone back, and nobody has accepted that yet.
func (n *Nouns) Recovering() bool {
	_, recovering := n.Recoveries.Get("store")
	return recovering
}

// Configuration returns the configuration; its values are those of the tables.
func (n *Nouns) Configuration() cluster.Configuration {
	c := cluster.Configuration{
		Applications: make(map[cluster.AppName]cluster.Application, n.Applications.Len()),
		Volumes:      make(map[cluster.VolumeID]cluster.Volume, n.Volumes.Len()),
		Leases:       make(map[cluster.VolumeID]cluster.Lease, n.Leases.Len()),
	}
	for name, a := range n.Applications.Each() {
		c.Applications[name] = a
	}
	for id, v := range n.Volumes.Each() {
		c.Volumes[id] = v
	}
	for id, l := range n.Leases.Each() {
		c.Leases[id] = l
	}
	return c
}
