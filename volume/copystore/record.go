package copystore

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// recordName is the file of a record, in the directory of its copy.
const recordName = "copy.json"

// A Record is what a copy is, as it is kept on disk.
type Record struct {
	Role  cluster.Role  `json:"role"`
	Epoch cluster.Epoch `json:"epoch"`
	Open  bool          `json:"open"`
	// Head is the GUID of the snapshot that the content is exactly at.
	Head      string             `json:"head"`
	Limit     int64              `json:"limit"`
	Changed   time.Time          `json:"changed"`
	Snapshots []cluster.Snapshot `json:"snapshots"`
	// Rollback is the wish of the last rollback.
	Rollback string `json:"rollback,omitempty"`
	// Reset, unless empty, is the snapshot that the content has to be made of again before anything
	// else: a rollback is not finished.
	Reset cluster.SnapshotName `json:"reset,omitempty"`
	// Transit is set while a stream is applied in place, and after it was cut.
	Transit *Transit `json:"transit,omitempty"`
	// Marks are by what the backend knows that a snapshot is still as it was left. It reads them.
	Marks map[cluster.SnapshotName]json.RawMessage `json:"marks,omitempty"`
	// Doubt is why the content is not what the replica is said to be at, as its owner found it.
	Doubt *Doubt `json:"doubt,omitempty"`
	// Accepted is what an operator last said of the copy.
	Accepted *cluster.Accepted `json:"accepted,omitempty"`
	// Witness is what the data looked like. The store keeps it, nobody else.
	Witness *Witness `json:"witness,omitempty"`
}

// A Transit is a difference that has been applied in part.
type Transit struct {
	From cluster.SnapshotName `json:"from"`
	To   cluster.SnapshotName `json:"to"`
	// Token tells this state from any other.
	Token string `json:"token"`
}

// A Doubt is about the content of a replica. It counts as long as the copy is at that head.
type Doubt struct {
	Head string `json:"head"`
	What string `json:"what"`
	// Accepted: an operator has said that what is there is the volume all the same.
	Accepted bool `json:"accepted,omitempty"`
}

// Doubted returns what is in doubt, or nil.
func (r Record) Doubted() *Doubt {
	if r.Doubt == nil || r.Role != cluster.Replica || r.Head != r.Doubt.Head {
		return nil
	}
	return r.Doubt
}

// Snapshot returns a snapshot of the copy, or cluster.ErrNotFound.
func (r Record) Snapshot(name cluster.SnapshotName) (cluster.Snapshot, error) {
	for _, s := range r.Snapshots {
		if s.Name == name {
			return s, nil
		}
	}
	return cluster.Snapshot{}, fmt.Errorf("snapshot %s: %w", name, cluster.ErrNotFound)
}

// Forget takes a snapshot off the record.
func (r *Record) Forget(name cluster.SnapshotName) {
	r.Snapshots = slices.DeleteFunc(r.Snapshots, func(s cluster.Snapshot) bool { return s.Name == name })
	delete(r.Marks, name)
}

// clone returns a record that shares nothing with this one that changes.
func (r Record) clone() Record {
	r.Snapshots, r.Marks = slices.Clone(r.Snapshots), maps.Clone(r.Marks)
	return r
}

// Add puts a new snapshot on the record. Of a closed copy one that is made for a transfer is the
// head, because nothing can change the content before the next Open.
func (r *Record) Add(s cluster.Snapshot) {
	r.Snapshots = append(r.Snapshots, s)
	if !r.Open && !s.Kept {
		r.Head = s.GUID
	}
}

// Prove notes the digest that both sides of a transfer have of a snapshot.
func (r *Record) Prove(name cluster.SnapshotName, digest string) {
	for i := range r.Snapshots {
		if r.Snapshots[i].Name == name {
			r.Snapshots[i].Digest = digest
		}
	}
}

// parseRecord reads a record. What is not one, or only a part, is durable.ErrDamaged.
func parseRecord(b []byte) (Record, error) {
	var r Record
	err := durable.ParseJSON(b, &r)
	if err == nil && r.Role != cluster.Primary && r.Role != cluster.Replica {
		err = fmt.Errorf("is %w: it says the role %q", durable.ErrDamaged, r.Role)
	}
	if err != nil {
		return Record{}, fmt.Errorf("%s %w", recordName, err)
	}
	return r, nil
}

// text is the record as it is written.
func (r Record) text() ([]byte, error) {
	r.Changed = written(r.Changed)
	for i := range r.Snapshots {
		r.Snapshots[i].Created = written(r.Snapshots[i].Created)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	return append(b, '\n'), err
}

// written is a time that JSON can hold: the year has four digits there. Others come from a clock
// that is not set, or from another node.
func written(t time.Time) time.Time {
	switch t = t.UTC(); {
	case t.Year() < 1:
		return time.Time{}
	case t.Year() > 9999:
		return time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	}
	return t
}
