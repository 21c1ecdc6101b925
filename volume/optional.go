package volume

import (
	"context"
	"io"
	"time"

	"github.com/drover/drover/cluster"
)

// What only some backends can do. Callers find it with As, which looks through wrappers.

// As returns the first of b and the backends that it wraps that is a T.
func As[T any](b Backend) (T, bool) {
	for b != nil {
		if t, ok := b.(T); ok {
			return t, true
		}
		w, ok := b.(Wrapper)
		if !ok {
			break
		}
		b = w.Unwrap()
	}
	var none T
	return none, false
}

// A Wrapper adds something to a backend and leaves the rest to it.
type Wrapper interface {
	Unwrap() Backend
}

// A Trasher is a backend whose removed copies can be brought back for a while.
type Trasher interface {
	// Trash returns the copies that Remove has put into the trash, newest last. What was set aside
	// for other reasons is not among them.
	Trash(ctx context.Context) ([]Copy, error)
	// Aside returns what was set aside for other reasons, oldest first.
	Aside(ctx context.Context) ([]cluster.SetAside, error)
	// Restore takes the newest primary copy of that epoch out of the trash; it is closed then. If
	// there is none the result is cluster.ErrNotFound, if the volume has a copy cluster.ErrExists.
	Restore(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error
	// Purge deletes for good what was put into the trash, or set aside, before that time.
	Purge(ctx context.Context, before time.Time) error
}

// A Resizer is a backend that can change the size limit of a volume.
type Resizer interface {
	// Resize sets the size limit in bytes; zero means none.
	Resize(ctx context.Context, id cluster.VolumeID, bytes int64) error
}

// A Discarder is a backend that keeps what has arrived of a transfer that was cut.
type Discarder interface {
	// Discard deletes what has arrived of a transfer that was cut, for the space that it takes. A copy
	// that is anything else is cluster.ErrConflict and stays; no copy is no error.
	Discard(ctx context.Context, id cluster.VolumeID) error
}

// A Lister is a backend that can tell, file by file, what has arrived of a transfer that was cut.
type Lister interface {
	// Listing returns the listing of what has arrived, for a Partial that is Listed. It is read to
	// its end, by whoever closes it. Where nobody wrote it down every file is read first.
	Listing(ctx context.Context, id cluster.VolumeID) (io.ReadCloser, error)
}

// A Flusher is a backend that can write out what the kernel still holds in memory of a volume
// that is open. What is written out before applications stop need not be while clients wait.
type Flusher interface {
	Flush(ctx context.Context, id cluster.VolumeID) error
}

// An Estimator is a backend that knows how much it would ship before it does.
type Estimator interface {
	// Estimate returns about how many bytes the stream of d will have. Both snapshots exist.
	Estimate(ctx context.Context, d Delta) (int64, error)
}

// A Cloner is a backend that can make a volume out of another one.
type Cloner interface {
	// Clone is Create with the content that a snapshot of another volume has, of which a copy is on
	// this node. Without a name for the snapshot it is the present content, as of one instant.
	Clone(ctx context.Context, id cluster.VolumeID, o Options, from cluster.VolumeID, at cluster.SnapshotName) error
}

// An Adopter is a backend that can take over what it has stored for somebody else.
type Adopter interface {
	// Adopt is Create with the content that is stored under a name of the backend's, where it
	// then no longer is: nothing is copied. What cannot be adopted is cluster.ErrRefused and
	// stays as it was.
	Adopt(ctx context.Context, id cluster.VolumeID, o Options, name string) error
}

// A Rollbacker is a backend that can go back to a snapshot.
type Rollbacker interface {
	// Rollback makes the content of a closed primary copy that of one of its snapshots again, and
	// removes the later snapshots. Copy.Rollback is wish from then on, and a wish that it is
	// already is fulfilled. An open copy is cluster.ErrConflict.
	Rollback(ctx context.Context, id cluster.VolumeID, to cluster.SnapshotName, wish string) error
}

// A Labeler is a backend that shows people what a volume is called. Its copies have Labels.
type Labeler interface {
	Label(ctx context.Context, id cluster.VolumeID, l Labels) error
}

// Capabilities names the optional interfaces of this package that a backend has, for a cluster.Node.
func Capabilities(b Backend) []string {
	var all []string
	if _, ok := As[Adopter](b); ok {
		all = append(all, cluster.AbilityAdopt)
	}
	if _, ok := As[Cloner](b); ok {
		all = append(all, cluster.AbilityClone)
	}
	if _, ok := As[Rollbacker](b); ok {
		all = append(all, cluster.AbilityRollback)
	}
	return all
}
