package cluster

import (
	"slices"
	"time"
)

// A Node is a host that runs an agent, as the agent describes it when it registers.
type Node struct {
	ID   NodeID `json:"id"`
	Name string `json:"name"`
	// Address is the IP address that clients, proxies and other nodes use to reach the node.
	Address string `json:"address"`
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
	// Abilities are what the backend can do beyond what all can: "adopt", "clone", "rollback".
	Abilities []string `json:"abilities,omitempty"`
	// Features describe the backend as it was found at the start of the agent, for people.
	Features map[string]string `json:"features,omitempty"`
	// RoutesOnly: the node has no volumes and runs no applications.
	RoutesOnly bool `json:"routes_only,omitempty"`
	// TrashGrace is how long a copy that was removed can be brought back.
	TrashGrace time.Duration `json:"trash_grace,omitempty"`
	Version    string        `json:"version"`
}

// The abilities of a backend that a user can ask for.
const (
	AbilityAdopt    = "adopt"
	AbilityClone    = "clone"
	AbilityRollback = "rollback"
)

// Can reports whether the node's backend has an ability.
func (n Node) Can(ability string) bool { return slices.Contains(n.Abilities, ability) }

// NodeState is what one node observes of itself. Only that node writes it, and it always writes
// the whole.
type NodeState struct {
	Node NodeID `json:"node"`
	Era  string `json:"era"`
	// Seen is the revision of the slice that the node last acted on.
	Seen         Revision           `json:"seen"`
	Applications []ApplicationState `json:"applications"`
	Volumes      []VolumeState      `json:"volumes"`
	// VolumesUnknown says why the node cannot see its volumes now, a pool that is missing say. Then
	// Volumes is empty and means nothing: unknown is never "none".
	VolumesUnknown string `json:"volumes_unknown,omitempty"`
	// Steps says what the node is doing, or failed to do and will try again.
	Steps     []StepState `json:"steps,omitempty"`
	Conflicts []Conflict  `json:"conflicts,omitempty"`
	// FreeBytes is what the node's volume backend can still take.
	FreeBytes int64 `json:"free_bytes"`
	// Peers is what membership says of the other nodes. It never decides who may write.
	Peers map[NodeID]string `json:"peers,omitempty"`
}

// ApplicationState is an application as its node sees it.
type ApplicationState struct {
	Name    AppName `json:"name"`
	Running bool    `json:"running"`
	// Healthy: running, and its health check passes or its ports accept connections.
	Healthy bool `json:"healthy"`
	// Epoch is the ownership epoch of the volume that the application was started on; zero
	// without a volume. Routes ignore an endpoint with another epoch than the volume's record.
	Epoch Epoch `json:"epoch,omitempty"`
	// Volume is what it uses, and Fingerprint identifies the definition that it was made from.
	Volume      VolumeID `json:"volume,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	// Endpoints maps each declared internal port to the host:port that serves it.
	Endpoints map[int]string `json:"endpoints,omitempty"`
	Restarts  int            `json:"restarts,omitempty"`
	Started   time.Time      `json:"started,omitzero"`
	// Reason says why the application is not running or not healthy, for the operator.
	Reason string `json:"reason,omitempty"`
}

// Role is what a node's copy of a volume is there for.
type Role string

const (
	// Primary: the copy of the volume's owner; it may be opened for writing.
	Primary Role = "primary"
	// Replica: good up to a named snapshot, never opened for writing.
	Replica Role = "replica"
)

// VolumeState is a node's copy of a volume as the node sees it.
type VolumeState struct {
	Volume VolumeID `json:"volume"`
	Role   Role     `json:"role"`
	Epoch  Epoch    `json:"epoch"`
	// Open: applications can write to it now.
	Open bool `json:"open"`
	// Path is where the node mounts it.
	Path string `json:"path,omitempty"`
	// Users are the containers that Docker started on it, by their names: none of them is an
	// application. While there are any it stays where it is.
	Users     []string   `json:"users,omitempty"`
	UsedBytes int64      `json:"used_bytes"`
	LimitSize int64      `json:"limit_bytes,omitempty"`
	Snapshots []Snapshot `json:"snapshots,omitempty"`
	// Rollback is the ID of the last RollbackWish that was fulfilled.
	Rollback string `json:"rollback,omitempty"`
	// Warning is what the operator should know: over its size limit, diverged, not verified.
	Warning string `json:"warning,omitempty"`
}

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
