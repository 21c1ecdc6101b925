// Package volume is the contract between Drover and the ways to store volumes.
//
//	b.Create(ctx, id, volume.Options{})          // once, when the volume is born
//	path, err := b.Open(ctx, id, epoch)          // writable, at path
//	b.Close(ctx, id)                             // no writer any more
//	snap, err := b.Snapshot(ctx, id, name, false)
//	b.Send(ctx, volume.Delta{Volume: id, To: name}, w)
//
// The life of the copies of a volume on two nodes during a move:
//
//	owner   Open ---------------- Close  Snapshot(final)  Send   Demote
//	            \ Snapshot Send /                           \
//	target       Receive                                     Receive    Open (next epoch)
//
// The package does not decide who may write (package control does, by epochs), does not talk to
// other nodes (package transfer does) and does not know of applications.
package volume

import (
	"context"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
)

// A Backend stores copies of volumes on one node.
//
// Every method is idempotent: done twice, or done again after a crash half way, it ends in the
// same place. All methods may be called concurrently; a backend serialises what it must per
// volume. A method that returns an error has lost nothing that was there before.
type Backend interface {
	// Properties says what the backend can do. It does not change while the process runs, and does
	// not wait for anything.
	Properties() Properties
	// Space returns how much can be stored more, and how large the storage is.
	Space(ctx context.Context) (Space, error)

	// Path returns where Open makes the volume available on this node, whether or not there is a
	// copy now.
	Path(id cluster.VolumeID) string

	// Copies returns every copy on this node, sorted by volume id, without those in the trash.
	// A copy that cannot be read is returned with a Warning, never left out.
	Copies(ctx context.Context) ([]Copy, error)

	// Create makes an empty primary copy at epoch 1. If a copy of the volume exists, in whatever
	// state, Create returns cluster.ErrExists and changes nothing.
	Create(ctx context.Context, id cluster.VolumeID, o Options) error

	// Open makes the copy a primary of that epoch that applications can write to, and returns
	// its path. It refuses an epoch older than the copy's with cluster.ErrStale. A replica is
	// opened only if the copy is exactly at the snapshot with GUID base; else the result is
	// cluster.ErrConflict. Base is ignored for a copy that is primary already.
	Open(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (path string, err error)

	// Close ends writing. After it returns, nothing writes to the copy until the next Open. A
	// copy that is still in use fails with cluster.ErrConflict, which says by whom if known.
	Close(ctx context.Context, id cluster.VolumeID) error

	// Demote makes a closed copy a replica. A copy that was written after its newest snapshot
	// has diverged from what others hold: it is set aside under another name, kept, and
	// reported by the *Diverged error, after which the volume has no copy here.
	Demote(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error

	// Snapshot marks the present content under a name. With keep, the content itself outlives
	// later writes to the volume. Without it a backend that is not Instant may only note what to
	// ship: Send then reads the live volume, and the snapshot is what was sent. A name that
	// exists returns the existing snapshot.
	Snapshot(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (cluster.Snapshot, error)

	// Drop removes a snapshot. One that does not exist is no error.
	Drop(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName) error

	// Send writes the stream of d to w. It ends early with the error of w.
	Send(ctx context.Context, d Delta, w io.Writer) error

	// Receive applies a stream that Send made on another node. It returns once the result is on
	// stable storage and was checked against the hashes in the stream; the copy is then a replica
	// at d.To. A stream that is cut leaves what has arrived, if the backend is Resumable, to be
	// continued with the Token of Copy.Partial. A full stream (d.From empty) never overwrites a
	// copy: one that exists is set aside first. A copy that is not what it was left as is set aside
	// too, and reported by the *Diverged error.
	Receive(ctx context.Context, d Delta, r io.Reader) error

	// Remove puts the copy into the trash. No copy is no error; an open one is ErrConflict.
	Remove(ctx context.Context, id cluster.VolumeID) error
}

// Common returns the newest snapshot of mine, in my order, that theirs has too.
func Common(mine, theirs []cluster.Snapshot) (cluster.Snapshot, bool) {
	held := make(map[string]bool, len(theirs))
	for _, s := range theirs {
		held[s.GUID] = true
	}
	for i := len(mine) - 1; i >= 0; i-- {
		if held[mine[i].GUID] {
			return mine[i], true
		}
	}
	return cluster.Snapshot{}, false
}

// Find returns the copy of a volume on this node, or cluster.ErrNotFound.
func Find(ctx context.Context, b Backend, id cluster.VolumeID) (Copy, error) {
	copies, err := b.Copies(ctx)
	if err != nil {
		return Copy{}, err
	}
	for _, c := range copies {
		if c.Volume == id {
			return c, nil
		}
	}
	return Copy{}, fmt.Errorf("volume %s: %w on this node", id, cluster.ErrNotFound)
}

// Diverged says that a copy holds writes that no other copy has. It is an ErrConflict.
type Diverged struct {
	Volume cluster.VolumeID
	// Common is the newest snapshot that the copy still shares with others, if any.
	Common cluster.SnapshotName
	// KeptAs is where the copy is kept.
	KeptAs string
}

func (d *Diverged) Error() string {
	return fmt.Sprintf("volume %s was written here after snapshot %q: kept as %s", d.Volume, d.Common, d.KeptAs)
}

// Is makes errors.Is(d, cluster.ErrConflict) hold.
func (d *Diverged) Is(target error) bool { return target == cluster.ErrConflict }
