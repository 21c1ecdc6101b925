package wire

import (
	"time"

	"github.com/drover/drover/cluster"
)

// VolumeStatus is a volume with its owner and its copies.
type VolumeStatus struct {
	Volume      cluster.Volume    `json:"volume"`
	Ownership   cluster.Ownership `json:"ownership"`
	Application cluster.AppName   `json:"application,omitempty"`
	Copies      []CopyStatus      `json:"copies"`
	// SetAside are copies that nodes have put away; only where one volume is asked for.
	SetAside []SetAsideStatus `json:"set_aside,omitempty"`
	Move     *cluster.Move    `json:"move,omitempty"`
	// Names are what the nodes in it are called.
	Names map[cluster.NodeID]string `json:"names,omitempty"`
}

// Recovery is what is known of a store that has gone back: to a backup, say.
type Recovery struct {
	// Recovering: it has, and nobody has accepted that yet. Nothing is destroyed on its word.
	Recovering bool      `json:"recovering"`
	Noticed    time.Time `json:"noticed,omitzero"`
	// Why is the evidence.
	Why string `json:"why,omitempty"`
	// Consequences say, one sentence each, what follows from accepting it.
	Consequences []string `json:"consequences"`
}

// AcceptRequest accepts what is on record.
type AcceptRequest struct {
	// Without names nodes, by name or id, that are not waited for: they are gone for good.
	Without []string `json:"without,omitempty"`
}

// CopyStatus is one node's copy of a volume.
type CopyStatus struct {
	Node cluster.NodeID `json:"node"`
	Copy cluster.Copy   `json:"copy"`
}

// SetAsideStatus is a copy that a node has put away.
type SetAsideStatus struct {
	Node cluster.NodeID   `json:"node"`
	Copy cluster.SetAside `json:"copy"`
}

// A VolumeChanges lists volumes in brief, as those who list them all the time keep it: they ask for what
// has changed.
type VolumeChanges struct {
	// Revision is what to ask for more with.
	Revision cluster.Revision `json:"revision"`
	// Reset: these are all volumes, and what was known before does not count any more.
	Reset   bool          `json:"reset,omitempty"`
	Volumes []VolumeBrief `json:"volumes"`
}

// VolumeBrief is a volume in a VolumeChanges.
type VolumeBrief struct {
	ID   cluster.VolumeID `json:"id"`
	Name string           `json:"name"`
	// Owner is the name of the node; empty: it has none yet.
	Owner       string        `json:"owner,omitempty"`
	Epoch       cluster.Epoch `json:"epoch,omitempty"`
	MaximumSize int64         `json:"maximum_size,omitempty"`
	// Deleted: it is deleted.
	Deleted bool `json:"deleted,omitempty"`
}

// VolumeRequest asks for a new volume.
type VolumeRequest struct {
	Name string `json:"name"`
	// Node is the id, name or address of its first owner. A clone needs none: it is made where the
	// snapshot is.
	Node        string            `json:"node,omitempty"`
	MaximumSize int64             `json:"maximum_size,omitempty"`
	Profile     string            `json:"profile,omitempty"`
	Options     map[string]string `json:"options,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	// Origin is where its first content comes from; its volume may be given by name.
	Origin *cluster.Origin `json:"origin,omitempty"`
}

// ResizeRequest asks for another size limit; zero means none.
type ResizeRequest struct {
	MaximumSize int64 `json:"maximum_size"`
}

// RollbackRequest asks for the content of a snapshot.
type RollbackRequest struct {
	Snapshot cluster.SnapshotName `json:"snapshot"`
	// Force: later snapshots that somebody counts on may go.
	Force bool `json:"force,omitempty"`
}

// TakeoverRequest makes another node the owner of a volume whose owner has lost its copy.
type TakeoverRequest struct {
	// Node is the id, name or address of one that holds a replica.
	Node string `json:"node"`
	// Older: it may be one that is behind another replica.
	Older bool `json:"older,omitempty"`
}

// SnapshotRequest asks for a snapshot.
type SnapshotRequest struct {
	Name cluster.SnapshotName `json:"name"`
}
