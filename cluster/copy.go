package cluster

import "time"

// A Copy is what one node holds of a volume.
type Copy struct {
	Volume VolumeID `json:"volume"`
	Role   Role     `json:"role"`
	Epoch  Epoch    `json:"epoch"`
	// Open: applications can write to it now.
	Open bool `json:"open"`
	// Unclosed: it was open, when the host lost its power say, and is not now. Close it before anything
	// else than Open: what was acknowledged last may not be in the content yet.
	Unclosed bool `json:"unclosed,omitempty"`
	// Path is where applications find it when it is open.
	Path string `json:"path,omitempty"`
	// Users are the containers that Docker started on it, by their names: none of them is an application. While
	// there are any it stays where it is. Its agent knows them, its backend does not.
	Users []string `json:"users,omitempty"`
	// Head is the GUID of the snapshot that the content is exactly at; empty when it was
	// opened, and so may have been written, after its last snapshot.
	Head string `json:"head,omitempty"`
	// Snapshots are sorted from old to new.
	Snapshots []Snapshot `json:"snapshots,omitempty"`
	// Bases are snapshots whose content is no longer here, but which a difference can build on:
	// Send takes them as Delta.From.
	Bases []Snapshot `json:"bases,omitempty"`
	// UsedBytes is what the content takes up on the storage: holes count for nothing.
	UsedBytes int64 `json:"used_bytes"`
	// MaximumSize is the size limit; zero means none.
	MaximumSize int64 `json:"limit_bytes,omitempty"`
	// Changed is when the role or the epoch last changed: the grace period of an old owner's
	// copy counts from here.
	Changed time.Time `json:"changed,omitzero"`
	// Partial describes a transfer that was cut and can go on.
	Partial *Partial `json:"partial,omitempty"`
	// Rollback is the wish of the last Rollback.
	Rollback string `json:"rollback,omitempty"`
	// Labels are set by backends that show them.
	Labels *Labels `json:"labels,omitempty"`
	// Obstacle is why Open would fail now, whatever the order: a key that is not loaded. Empty: it
	// would not.
	Obstacle string `json:"obstacle,omitempty"`
	// Lost is why what is here is not the volume, whatever else the record says: it must not be opened,
	// run on, shipped or made again. Mend is what an operator can do about it on this node.
	Lost string `json:"lost,omitempty"`
	Mend string `json:"mend,omitempty"`
	// Accepted is what an operator last said of the copy; nil: nothing.
	Accepted *Accepted `json:"accepted,omitempty"`
	// Warning is for the operator: over its limit, not verified since a crash, not readable.
	Warning string `json:"warning,omitempty"`
}

// Accepted is an operator's word that what is there is the volume, although it is not what it was.
type Accepted struct {
	At time.Time `json:"at"`
	// Head is the GUID of the snapshot that the copy was said to be at; empty: of none.
	Head string `json:"head,omitempty"`
	// Although is what was wrong with it.
	Although string `json:"although"`
}

// Broken reports whether the copy is no use as it is: what is here is not the volume, or there is no
// telling what it is, by what its Warning says; every other one has an epoch.
func (c Copy) Broken() bool { return c.Lost != "" || c.Epoch == 0 && c.Warning != "" }

// A Partial is a transfer that has arrived in part.
type Partial struct {
	// From and To are those of the volume.Delta that was cut.
	From SnapshotName `json:"from"`
	To   SnapshotName `json:"to"`
	// Token tells the sender what need not be sent again, in volume.MaxToken bytes at most. Only the
	// backend reads it.
	Token []byte `json:"token"`
	// Listed: besides the token it takes what Lister tells.
	Listed bool `json:"listed,omitempty"`
}

// Labels are what people call a volume, where a backend can show it to them.
type Labels struct {
	// Name is that of the volume; empty: it has none but its id.
	Name string
	// Application uses it; empty: none does.
	Application AppName
}
