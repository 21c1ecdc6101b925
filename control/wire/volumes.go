package wire

import "github.com/drover/drover/cluster"

// VolumeStatus is a volume with its owner and its copies.
type VolumeStatus struct {
	Volume      cluster.Volume    `json:"volume"`
	Ownership   cluster.Ownership `json:"ownership"`
	Application cluster.AppName   `json:"application,omitempty"`
	Copies      []CopyStatus      `json:"copies"`
	Move        *cluster.Move     `json:"move,omitempty"`
	// Names are what the nodes in it are called.
	Names map[cluster.NodeID]string `json:"names,omitempty"`
}

// CopyStatus is one node's copy of a volume.
type CopyStatus struct {
	Node cluster.NodeID      `json:"node"`
	Copy cluster.VolumeState `json:"copy"`
}

// A Catalogue lists volumes in brief, as those who list them all the time keep it: they ask for what
// has changed.
type Catalogue struct {
	// Revision is what to ask for more with.
	Revision cluster.Revision `json:"revision"`
	// Whole: these are all volumes, and what was known before does not count any more.
	Whole   bool          `json:"whole,omitempty"`
	Volumes []VolumeBrief `json:"volumes"`
}

// VolumeBrief is a volume in a Catalogue.
type VolumeBrief struct {
	ID   cluster.VolumeID `json:"id"`
	Name string           `json:"name"`
	// Owner is the name of the node; empty: it has none yet.
	Owner       string        `json:"owner,omitempty"`
	Epoch       cluster.Epoch `json:"epoch,omitempty"`
	MaximumSize int64         `json:"maximum_size,omitempty"`
	// Gone: it is deleted.
	Gone bool `json:"gone,omitempty"`
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

// SnapshotRequest asks for a snapshot.
type SnapshotRequest struct {
	Name cluster.SnapshotName `json:"name"`
}
