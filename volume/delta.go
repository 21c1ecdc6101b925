package volume

import (
	"fmt"

	"github.com/drover/drover/cluster"
)

// Streams is the version of the streams of all backends: volumes go only between agents that have the same one.
const Streams = 2

// A Delta names the difference between two snapshots of a volume.
type Delta struct {
	Volume cluster.VolumeID `json:"volume"`
	// From is a snapshot that both sides hold; empty for a full stream.
	From cluster.SnapshotName `json:"from"`
	To   cluster.SnapshotName `json:"to"`
	// Resume is the Token of the receiver's Partial; empty to start anew.
	Resume []byte `json:"resume,omitempty"`
	// Files ships file by file, for a receiver with a backend of another kind.
	Files bool `json:"files,omitempty"`
	// Reading: it is for somebody who looks, and no copy comes of it. Only what can't change is read so.
	Reading bool `json:"-"`
	// Arrived is the path of a local copy of the receiver's listing, for a Partial that is Listed.
	// The transport fetches it, and removes it after Send.
	Arrived string `json:"-"`
	// Labels are what the receiver's node calls the volume.
	Labels Labels `json:"-"`
}

func (d Delta) String() string {
	if d.From == "" {
		return fmt.Sprintf("%s@%s", d.Volume, d.To)
	}
	return fmt.Sprintf("%s@%s..%s", d.Volume, d.From, d.To)
}
