package cluster

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Node is a host that runs an agent, as the agent describes it when it registers.
type Node struct {
	ID   NodeID `json:"id"`
	Name string `json:"name"`
	// Address is the IP address that clients, proxies and other nodes use to reach the node.
	Address string `json:"address"`
	// FormerAddress is the Address that it had before, if whoever gave it another one has said so.
	FormerAddress string `json:"former_address,omitempty"`
	// Admitted, at a registration alone: this process of its agent was taken for the node before, and may act as it.
	Admitted bool `json:"admitted,omitempty"`
	// Seat, at a registration alone: the directory of its agent, in this boot of its host. A copy of the directory has
	// another one. Empty: it does not say.
	Seat string `json:"seat,omitempty"`
	// Told, at a registration alone: the newest assignment that the node has been given, by whatever life of the
	// control service.
	Told Position `json:"told,omitzero"`
	// TransferAddress is the host:port of the node's SSH/SFTP server.
	TransferAddress string `json:"transfer_address"`
	// TransferKey is the public key of that server in authorized_keys form. Peers accept no other.
	TransferKey string `json:"transfer_key"`
	// GossipAddress is the host:port where the node takes part in membership.
	GossipAddress string            `json:"gossip_address,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	// Era changes at every boot of the host: what an earlier era observed says nothing of mounts
	// and processes now.
	Era     string `json:"era"`
	Backend string `json:"backend"`
	Runtime string `json:"runtime"`
	// Capabilities are what the backend can do beyond what all can: "adopt", "clone", "rollback".
	Capabilities []string `json:"abilities,omitempty"`
	// Features describe the backend as it was found at the start of the agent, for people.
	Features map[string]string `json:"features,omitempty"`
	// RoutesOnly: the node has no volumes and runs no applications.
	RoutesOnly bool `json:"routes_only,omitempty"`
	// TrashGrace is how long a copy that was removed can be brought back.
	TrashGrace time.Duration `json:"trash_grace,omitempty"`
	Version    string        `json:"version"`
	// Streams is the version of what its agent sends to others, and reads of them: volume.Streams. Zero: it is of
	// before that was counted.
	Streams int `json:"streams,omitempty"`
}

// A Position is where a node stands in what it has been told: at an assignment, by its revision and by the life of
// the control service that gave it. Revisions alone do not tell: a store that was put back gives them out again.
type Position struct {
	// Life is empty where the service was of a version that does not say.
	Life     string   `json:"life,omitempty"`
	Revision Revision `json:"revision"`
}

// A RemovedNode is what is remembered of a node that an operator removed. Its certificate is still good, and
// must not let it in again by itself.
type RemovedNode struct {
	ID      NodeID `json:"id"`
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
	// At is when it was removed, and By who did it.
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"`
	// Replacement is the node that took its place; empty: none did.
	Replacement NodeID `json:"replacement,omitempty"`
}

// The abilities of a backend that a user can ask for.
const (
	AbilityAdopt    = "adopt"
	AbilityClone    = "clone"
	AbilityRollback = "rollback"
)

// Can reports whether the node's backend has an ability.
func (n Node) Can(ability string) bool { return slices.Contains(n.Capabilities, ability) }

// Elsewhere reports whether n, which has the identity of was, may be another host, or a copy of its
// directory on the same one: nobody has said that it was given another address. Who was the node before, in this
// boot, is no copy, whatever is on record. A node that only routes has nothing that two must not have.
func (n Node) Elsewhere(was Node) bool {
	return was.Address != "" && !sameAddress(n.Address, was.Address) && !sameAddress(n.FormerAddress, was.Address) &&
		!(n.Admitted && n.Era == was.Era) && !n.RoutesOnly
}

func sameAddress(a, b string) bool {
	x, err := netip.ParseAddr(a)
	y, also := netip.ParseAddr(b)
	return a == b || err == nil && also == nil && x == y
}

// Validate returns what is wrong with what a node says of itself.
func (n Node) Validate() Problems {
	var p Problems
	if !ValidName(string(n.ID)) {
		p.add("id", "%s is not a valid name", Shown(string(n.ID)))
	}
	if n.Name != "" && !ValidName(n.Name) {
		p.add("name", "%s is not a valid name: %s", Shown(n.Name), plainName.want)
	}
	for path, text := range map[string]string{"address": n.Address, "former_address": n.FormerAddress, "era": n.Era, "backend": n.Backend, "runtime": n.Runtime, "seat": n.Seat, "version": n.Version} {
		if !labelText.fits(text) || strings.ContainsFunc(text, unprintable) {
			p.add(path, "%s: %s", Shown(text), labelText.want)
		}
	}
	validateLabels("labels", n.Labels, &p)
	if why := n.oversized(); why != "" {
		p.add("node", "%s", why)
	}
	slices.SortFunc(p, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return p
}

// NodeState is what one node observes of itself. Only that node writes it, and it always writes
// the whole.
type NodeState struct {
	Node NodeID `json:"node"`
	Era  string `json:"era"`
	// Sequence counts the reports of one process of the agent: one that comes late does not undo what a
	// later one said. Zero: it does not count.
	Sequence uint64 `json:"sequence,omitempty"`
	// Seen is the Due of the assignment that the node last acted on.
	Seen Revision `json:"seen"`
	// Told is the revision of the assignment that it had when it looked: what it says of other nodes is of
	// those that are in it. Zero: an agent of an earlier version does not say.
	Told Revision `json:"told,omitempty"`
	// Every is how often it reports at the latest, whether or not something changed: it is in touch for as
	// long as it does. Zero: it reports changes alone, and its requests for assignments have to do.
	Every        time.Duration `json:"every,omitempty"`
	Applications []Instance    `json:"applications"`
	Volumes      []Copy        `json:"volumes"`
	// VolumesUnknown says why the node cannot see its volumes now, a pool that is missing say. Then
	// Volumes is empty and means nothing: unknown is never "none".
	VolumesUnknown string `json:"volumes_unknown,omitempty"`
	// Trash are the volumes whose primary copy was removed and can be brought back. Nil: the node does
	// not say, and unknown is never "none".
	Trash []VolumeID `json:"trash"`
	// Made are the volumes that it owns, has had a copy of, and has none of in Volumes now.
	Made []VolumeID `json:"made,omitempty"`
	// Unreadable are those of which there is something in the trash, and nobody knows what.
	Unreadable []VolumeID `json:"unreadable,omitempty"`
	// TrashReplicas are the other copies in the trash: nothing brings those back by itself.
	TrashReplicas []TrashReplica `json:"trash_replicas,omitempty"`
	// SetAside are copies that were put away for another reason than that their volume was removed.
	SetAside []SetAside `json:"set_aside,omitempty"`
	// Steps says what the node is doing, or failed to do and will try again.
	Steps     []StepState `json:"steps,omitempty"`
	Conflicts []Conflict  `json:"conflicts,omitempty"`
	// Kept are data of applications that are in no volume, and that nothing uses now.
	Kept []Kept `json:"kept,omitempty"`
	// FreeBytes is what the node's volume backend can still take.
	FreeBytes int64 `json:"free_bytes"`
	// Missing are the nodes that should take part in membership, and do not as far as this one sees. It never
	// decides who may write. Nil: this node takes no part, and says nothing.
	Missing []NodeID `json:"missing,omitzero"`
	// Peers is what agents of earlier versions say in place of Missing: "alive" or "dead", of each node.
	Peers map[NodeID]string `json:"peers,omitempty"`
}

// TrashReplica is a replica in the trash, whose content is exactly at the snapshot with the GUID Head.
type TrashReplica struct {
	Volume VolumeID `json:"volume"`
	Head   string   `json:"head,omitempty"`
}

// A SetAside is a copy that was put away whole: something else took its place, or it had what nobody else has.
// Nothing brings it back by itself.
type SetAside struct {
	Volume VolumeID `json:"volume"`
	// Why: "replaced" by a transfer of the whole volume, "diverged" from its owner's, "broken", or "foreign", which
	// was no copy.
	Why string    `json:"why"`
	At  time.Time `json:"at"`
	// Path is where the node keeps it.
	Path string `json:"path"`
	// Bytes is how much it holds, as far as that is known.
	Bytes int64 `json:"bytes,omitempty"`
}

// Kept is data of an application that was in its container, and is in none now: the application was
// stopped, has moved, or got another definition. It stays until somebody removes it.
type Kept struct {
	Application AppName `json:"application"`
	// Path is where in the container it was.
	Path string `json:"path"`
	// Volume is what the container engine calls it.
	Volume string `json:"volume"`
}

// Role is what a node's copy of a volume is there for.
type Role string

const (
	// Primary: the copy of the volume's owner; it may be opened for writing.
	Primary Role = "primary"
	// Replica: good up to a named snapshot, never opened for writing.
	Replica Role = "replica"
)

// StepState is one step of an agent's plan with its reason and, if it failed, why and when it is
// tried again.
type StepState struct {
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	Reason  string    `json:"reason"`
	Error   string    `json:"error,omitempty"`
	Retry   time.Time `json:"retry,omitzero"`
}

// A Conflict is something that an agent will not decide by itself. It carries its evidence.
type Conflict struct {
	Volume VolumeID `json:"volume"`
	// What is wrong, as a sentence with the evidence in it.
	What string `json:"what"`
	// WaysOut are what an operator can do about it.
	WaysOut []string `json:"ways_out,omitempty"`
}
