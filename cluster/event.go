package cluster

import "time"

// An Event is something that happened, kept for the operator who asks later.
type Event struct {
	// ID grows by one with each event.
	ID          uint64    `json:"id"`
	Time        time.Time `json:"time"`
	Node        NodeID    `json:"node,omitempty"`
	Application AppName   `json:"application,omitempty"`
	Volume      VolumeID  `json:"volume,omitempty"`
	Move        MoveID    `json:"move,omitempty"`
	// Kind is a short stable word: "moved", "rolled back", "started", "conflict", ...
	Kind string `json:"kind"`
	// Message is a sentence.
	Message string `json:"message"`
}
