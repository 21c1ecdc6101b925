// Package store is the contract between the control service and the place that keeps what it
// must not lose.
//
//	rev, err := s.Write(ctx, store.Batch{
//		If:  []store.Condition{{Key: "ownership/" + id, Revision: seen}},
//		Put: map[string][]byte{"ownership/" + id: data},
//	})
//	if errors.Is(err, cluster.ErrStale) { read again, decide again }
//
// A store is a small ordered map with one revision for all of it. It has no queries, no schema
// and no time: the control service keeps its model in memory and writes through.
package store

import (
	"context"

	"github.com/drover/drover/cluster"
)

// A Store keeps records. All methods may be called concurrently.
type Store interface {
	// Load returns every record and the revision that they are of, as one instant.
	Load(ctx context.Context) (map[string]Record, cluster.Revision, error)

	// Write applies a batch whole or not at all, and returns the new revision. If a condition
	// does not hold it returns cluster.ErrStale and nothing has changed. When it returns nil the
	// batch survives a crash. An empty batch returns the present revision.
	Write(ctx context.Context, b Batch) (cluster.Revision, error)

	// Changed waits until the revision is greater than since and returns it, or the error of ctx.
	Changed(ctx context.Context, since cluster.Revision) (cluster.Revision, error)

	// Close releases the store. Later calls fail.
	Close() error
}

// A Record is a value and the revision of the write that put it there.
type Record struct {
	Value    []byte
	Revision cluster.Revision
}

// A Batch is one atomic write.
type Batch struct {
	// If holds what must be true just before the write.
	If     []Condition
	Put    map[string][]byte
	Delete []string
}

// A Condition holds when the record of Key has exactly that revision; zero means that there is
// no such record.
type Condition struct {
	Key      string
	Revision cluster.Revision
}
