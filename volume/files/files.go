// Package files ships trees of files between nodes, whatever they are stored with: a stream of names,
// attributes and blocks.
//
//	sum, err := files.Send(ctx, files.Shipment{Root: tree, Snapshot: s, Base: theirs, Known: ours, Save: next}, w)
//	snapshot, sum, err := files.Receive(ctx, files.Arrival{Root: tree, Base: held, Save: next}, r)
//
// A listing is a file that says what a tree holds at a snapshot: every name in the order of a walk,
// with its attributes and the hashes of its blocks. What a sender ships is the difference between the
// listing of what the receiver holds and the tree as it finds it; both sides sum up the listing that
// comes of it, and equal sums mean equal trees.
//
//	sender      tree ----+                         +---- tree        receiver
//	            Known ---+--> stream of changes ---+---- Base
//	            Base ----+--> Save                 +--> Save
//
// All of it streams: neither side has a tree, a listing or a file whole in memory, and holes cost
// nothing. The receiver holds its tree against its listing as it goes, so that what was done to it
// from outside is found and never shipped on.
//
// The package knows nothing of volumes, and of snapshots only what it carries along.
package files

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
)

// A Shipment is what Send ships.
type Shipment struct {
	// Root is the tree.
	Root string
	// From is the snapshot that the receiver holds, and Base the path of its listing; empty: it
	// holds nothing.
	From cluster.SnapshotName
	Base string
	// Snapshot is what is shipped.
	Snapshot cluster.Snapshot
	// Known is the path of the listing of an earlier look at the same files, which need not be read
	// again if nothing has touched them since. It may be Base, or empty.
	Known string
	// Save is where the listing of what was shipped is durable before the receiver can confirm it.
	// It may be Known or Base.
	Save string
	// Elsewhere, if set, is asked for a file to write that listing to when there is no space for it at Save.
	// It is the caller's, whatever becomes of the shipment.
	Elsewhere func() (*os.File, error)
	// Since, for a tree that cannot change because it is a snapshot, is a time before it was made.
	// Zero: the tree lives, and is written back first.
	Since time.Time
	// Touched, if set, reports whether an inode may have been changed between the look that Known is of and
	// this one. A stamp alone does not say: btrfs stamps a file when a write begins, and a snapshot may
	// come in the middle of that.
	Touched func(inode uint64) (bool, error)
	// Still: nobody writes to the tree, so a name that is gone when it is read is an error.
	Still bool
}

// A Sum is what a listing comes to.
type Sum struct {
	// Digest is a SHA-256 in hexadecimal over names, content, metadata and attributes.
	Digest string
	// Entries counts the names.
	Entries int64
	// Bytes is what the files hold without their holes.
	Bytes int64
}

// An Arrival is what Receive makes.
type Arrival struct {
	// Root is the tree, which holds what the listing Base says; empty: nothing.
	Root string
	Base string
	// Resumed: Root holds what an earlier Arrival saved after an error, at Save; Base is left empty.
	Resumed bool
	// Save is where the listing of what has arrived is made durable: of all of it, or after an error
	// of what there is then. After an error that keeps it from being written there is none.
	Save string
	// Begin, if set, is called before the tree is touched, once the stream has proved to be one, with
	// the snapshot that it is of.
	Begin func(cluster.Snapshot) error
}

// Before is added to the path at which something is saved by whoever goes on from there. It is of no use after a crash.
const Before = ".before"

// Is reports whether a stream that begins like this is one of files.
func Is(start []byte) bool { return strings.HasPrefix(string(start), magic) }

// Survey reads all files of a tree and writes its listing.
func Survey(ctx context.Context, root, save string) (Sum, error) {
	return Send(ctx, Shipment{Root: root, Save: save}, io.Discard)
}

// Changed says what of a tree is not as its listing says. It is a cluster.ErrConflict.
type Changed struct {
	// Path is below the root of the tree.
	Path string
	// Why says what is wrong with it.
	Why string
}

func (c *Changed) Error() string {
	if c.Path == "" {
		return "the copy was changed from outside: " + c.Why
	}
	return fmt.Sprintf("the copy was changed from outside: %q %s", c.Path, c.Why)
}

// Is makes errors.Is(c, cluster.ErrConflict) hold.
func (c *Changed) Is(target error) bool { return target == cluster.ErrConflict }

// bytes is the digest as it travels.
func (s Sum) digest() []byte {
	b, err := hex.DecodeString(s.Digest)
	if err != nil {
		return nil // the other side takes it for another digest
	}
	return b
}
