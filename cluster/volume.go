package cluster

import (
	"slices"
	"strings"
	"time"
)

// A Volume is a unit of data with an identity that outlives containers and moves, as the user
// wants it. The v1 API calls it a dataset.
type Volume struct {
	ID VolumeID `json:"id"`
	// Name is what people call it; unique among the volumes that are not deleted.
	Name string `json:"name"`
	// Primary is the node that the user wants as its owner. Ownership says who is.
	Primary NodeID `json:"primary"`
	// MaximumSize is its limit in bytes; zero means none.
	MaximumSize int64             `json:"maximum_size,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Deleted     bool              `json:"deleted,omitempty"`
	// DeletedAt is when it was deleted. The control service sets it.
	DeletedAt time.Time `json:"deleted_at,omitzero"`
	// DeletedBy says who deleted it, for people. The control service sets it.
	DeletedBy string `json:"deleted_by,omitempty"`
	// Snapshots are those that the user asked for.
	Snapshots []SnapshotRequest `json:"snapshots,omitempty"`
	// Profile names settings that suit what the volume holds, each backend by its own means: one of
	// Profiles, or empty. It counts when the volume is made.
	Profile string `json:"profile,omitempty"`
	// Options are settings for one kind of backend each, as "zfs.recordsize": "16K". They count
	// when the volume is made; backends of another kind do without.
	Options map[string]string `json:"options,omitempty"`
	// Origin is where its first content comes from; nil: it begins empty.
	Origin *Origin `json:"origin,omitempty"`
	// Rollback is the newest wish to go back to a snapshot; nil: there was none.
	Rollback *RollbackRequest `json:"rollback,omitempty"`
}

// SnapshotNames returns the names of the snapshots that the user asked for.
func (v Volume) SnapshotNames() []SnapshotName {
	var names []SnapshotName
	for _, r := range v.Snapshots {
		names = append(names, r.Name)
	}
	return names
}

// Profiles are the names of settings that a volume can be made with.
var Profiles = []string{ProfileDatabase}

// ProfileDatabase suits small writes in place, each waited for.
const ProfileDatabase = "database"

// An Origin is where the first content of a volume comes from: a snapshot of another volume, or what
// the first owner's backend has stored under a name of its own.
type Origin struct {
	Volume VolumeID `json:"volume,omitempty"`
	// Snapshot of Volume; empty: its content when the clone is made.
	Snapshot SnapshotName `json:"snapshot,omitempty"`
	// Adopt is a name of the backend's, such as "tank/db" with zfs.
	Adopt string `json:"adopt,omitempty"`
}

// A RollbackRequest asks the owner of an epoch to make the content that of a snapshot again. It is
// done when the owner's copy says its ID; later owners do not do it again.
type RollbackRequest struct {
	ID       string       `json:"id"`
	Snapshot SnapshotName `json:"snapshot"`
	Epoch    Epoch        `json:"epoch"`
}

// Due reports whether the wish is the owner's to fulfil, whose copy last fulfilled another one.
func (w *RollbackRequest) Due(owner Ownership, done string) bool {
	return w != nil && w.Epoch == owner.Epoch && w.ID != done
}

// A SnapshotRequest asks the owner of an epoch to make a snapshot. Later owners do not make it
// again: under the same name it would hold something else.
type SnapshotRequest struct {
	Name  SnapshotName `json:"name"`
	Epoch Epoch        `json:"epoch"`
}

// A Snapshot is a read-only instant of a volume. Its GUID travels with it to every copy: two
// copies share a snapshot when they share its GUID, whatever it is called.
type Snapshot struct {
	Name    SnapshotName `json:"name"`
	GUID    string       `json:"guid"`
	Created time.Time    `json:"created"`
	// Bytes is how much the volume held.
	Bytes int64 `json:"bytes"`
	// Kept: made for a user, not for a transfer; only the user removes it.
	Kept bool `json:"kept,omitempty"`
	// Digest is the SHA-256, in hexadecimal, over all that was shipped of it file by file: content,
	// metadata and attributes. Both sides have summed it up. Empty: it was not shipped that way.
	Digest string `json:"digest,omitempty"`
}

// FinalSuffix ends the name of the last round of a move, and of no other round.
const FinalSuffix = "-final"

// Finals are how many last rounds of past moves a copy keeps: what a node held when the volume last
// left it, others still hold after the next move, so that coming back ships a difference.
const Finals = 2

// Final reports whether the snapshot is the last round of a move.
func (s Snapshot) Final() bool { return !s.Kept && strings.HasSuffix(string(s.Name), FinalSuffix) }

// OldRounds returns the snapshots that were made for transfers and serve none any more: all rounds
// but the newest and the Finals. The list is in the order of a copy, from old to new.
func OldRounds(all []Snapshot) []Snapshot {
	var old []Snapshot
	finals, newest := 0, true
	for _, s := range slices.Backward(all) {
		if s.Kept {
			continue
		}
		final := s.Final()
		if final {
			finals++
		}
		if !newest && (!final || finals > Finals) {
			old = append(old, s)
		}
		newest = false
	}
	slices.Reverse(old)
	return old
}

// Ownership is the record of who may write a volume. Only the control service writes it, each
// time by one conditional write. It is the commit point of a move.
type Ownership struct {
	Volume VolumeID `json:"volume"`
	Owner  NodeID   `json:"owner"`
	Epoch  Epoch    `json:"epoch"`
	// Created: the owner of epoch 1 has reported its copy. From then on a missing copy is a
	// conflict and never a reason to create an empty one.
	Created bool `json:"born"`
	// Base is the GUID of the snapshot that the owner starts from: the last round of the move
	// that made it owner. Empty for the first owner.
	Base string `json:"base,omitempty"`
}

// A Lease is a user's hold on a volume: while it lasts, the volume stays on its node.
type Lease struct {
	Volume VolumeID `json:"volume"`
	Node   NodeID   `json:"node"`
	// Expires is when the lease ends by itself; zero means never.
	Expires time.Time `json:"expires,omitzero"`
}

// Expired reports whether the lease has ended at now.
func (l Lease) Expired(now time.Time) bool {
	return !l.Expires.IsZero() && !now.Before(l.Expires)
}
