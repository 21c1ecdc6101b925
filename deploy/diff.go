package deploy

import "github.com/drover/drover/cluster"

// A Kind is what a Change does.
type Kind string

// The kinds of change.
const (
	// ApplicationAdded: it is new, and runs on To, if anywhere.
	ApplicationAdded Kind = "application added"
	// ApplicationRemoved: it is no longer defined. It ran on From, if anywhere.
	ApplicationRemoved Kind = "application removed"
	// ApplicationChanged: the Fields of its definition changed.
	ApplicationChanged Kind = "application changed"
	// ApplicationMoved: from From to To, with its volume if one is named. Either may be empty: it
	// ran nowhere, or will.
	ApplicationMoved Kind = "application moved"
	// VolumeCreated: it is new, and empty.
	VolumeCreated Kind = "volume created"
	// VolumeAttached: it was there, and Application uses it from now on, on To.
	VolumeAttached Kind = "volume attached"
	// VolumeUnattached: Application does not use it any more. Its data stays, on To.
	VolumeUnattached Kind = "volume unattached"
	// VolumeMoved: from From to To, other than with its application.
	VolumeMoved Kind = "volume moved"
	// VolumeResized: from FromBytes to ToBytes.
	VolumeResized Kind = "volume resized"
)

// A Change is one difference between two configurations.
type Change struct {
	Kind        Kind             `json:"kind"`
	Application cluster.AppName  `json:"application,omitempty"`
	Volume      cluster.VolumeID `json:"volume,omitempty"`
	// VolumeName is what people call the volume.
	VolumeName string         `json:"volume_name,omitempty"`
	From       cluster.NodeID `json:"from,omitempty"`
	To         cluster.NodeID `json:"to,omitempty"`
	// Fields are the keys of the application that differ, as files name them. Their values are
	// not told: passwords are among them.
	Fields []string `json:"fields,omitempty"`
	// FromBytes and ToBytes are maximum sizes; zero means no limit.
	FromBytes int64 `json:"from_bytes,omitempty"`
	ToBytes   int64 `json:"to_bytes,omitempty"`
}

// Diff returns what a deploy of next over current changes: first the applications, then the
// volumes, each by name. It compares wishes, and does not know where things are at the moment.
func Diff(current, next cluster.Configuration) []Change {
	return append(diffApplications(current, next), diffVolumes(current, next)...)
}
