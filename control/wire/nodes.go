package wire

import "github.com/drover/drover/cluster"

// RemovalRequest asks for the removal of a node that is gone for good.
type RemovalRequest struct {
	// Replacement is the id, name or address of the node that takes its place; empty: none does.
	Replacement string `json:"replacement,omitempty"`
	// Leave: volumes that the replacement cannot take over are left without an owner that is there. Otherwise
	// a replacement for which there are any is refused.
	Leave bool `json:"leave,omitempty"`
	// Confirmed: do it. Otherwise the answer says what would become of what the node has, and nothing changes.
	Confirmed bool `json:"confirmed,omitempty"`
}

// Removal is what becomes of what a removed node had.
type Removal struct {
	Node cluster.Node `json:"node"`
	// Replacement is the node that takes its place, if one does.
	Replacement *cluster.Node `json:"replacement,omitempty"`
	// Consequences say it, one sentence each.
	Consequences []string `json:"consequences"`
	// Lost are the volumes that are left without an owner that is there.
	Lost []string `json:"lost,omitempty"`
	// Done: it has been done.
	Done bool `json:"done"`
}
