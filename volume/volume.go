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
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
)

// A Backend stores copies of volumes on one node.
//
// Every method is idempotent: done twice, or done again after a crash half way, it ends in the
// same place. All methods may be called concurrently; a backend serialises what it must per
// volume. A method that returns an error has lost nothing that was there before.
type Backend interface {
	// Properties says what the backend can do. It does not change while the process runs.
	Properties() Properties

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

	// Receive applies a stream that Send made on a node with the same backend. It returns once
	// the result is on stable storage and was checked against the hashes in the stream; the
	// copy is then a replica at d.To. A stream that is cut leaves what has arrived, if the
	// backend is Resumable, to be continued with the Token of Copy.Partial. A full stream
	// (d.From empty) never overwrites a copy: one that exists is set aside first.
	Receive(ctx context.Context, d Delta, r io.Reader) error

	// Resize sets the size limit; zero means none.
	Resize(ctx context.Context, id cluster.VolumeID, bytes int64) error

	// Remove puts the copy into the trash. No copy is no error; an open one is ErrConflict.
	Remove(ctx context.Context, id cluster.VolumeID) error

	// Trash returns the copies that Remove has put into the trash, newest last. What was set aside
	// for other reasons is not among them.
	Trash(ctx context.Context) ([]Copy, error)

	// Restore takes the newest primary copy of that epoch out of the trash; it is closed then. If
	// there is none the result is cluster.ErrNotFound, if the volume has a copy cluster.ErrExists.
	Restore(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error

	// Purge deletes for good what was put into the trash, or set aside, before that time.
	Purge(ctx context.Context, before time.Time) error
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

// Abilities names the optional interfaces of this package that a backend has, for a cluster.Node.
func Abilities(b Backend) []string {
	var all []string
	if _, ok := b.(Adopter); ok {
		all = append(all, cluster.AbilityAdopt)
	}
	if _, ok := b.(Cloner); ok {
		all = append(all, cluster.AbilityClone)
	}
	if _, ok := b.(Rollbacker); ok {
		all = append(all, cluster.AbilityRollback)
	}
	return all
}

// Labels are what people call a volume, where a backend can show it to them.
type Labels struct {
	// Name is that of the volume; empty: it has none but its id.
	Name string
	// Application uses it; empty: none does.
	Application cluster.AppName
}

// Properties are what a backend can do, as data.
type Properties struct {
	// Name is "dir", "btrfs", "zfs" or "mem".
	Name string `json:"name"`
	// Instant: a snapshot of an open volume is one instant, not a walk over moving files.
	Instant bool `json:"instant"`
	// AnyBase: a difference may build on any snapshot that the receiver holds, not only on the one
	// that it is at. So older ones are worth keeping, for nodes that hold no newer one.
	AnyBase bool `json:"any_base"`
	// Bases: a difference can still build on a snapshot that was dropped: see Copy.Bases.
	Bases bool `json:"bases"`
	// Resumable: a transfer that was cut goes on where it stopped.
	Resumable bool `json:"resumable"`
	// Enforced: the size limit of a volume stops its writers. Otherwise it is only checked,
	// warned of and reported.
	Enforced bool `json:"enforced"`
	// FreeBytes is what could be stored more, when the properties were asked for.
	FreeBytes int64 `json:"free_bytes"`
	// TotalBytes is the size of the storage.
	TotalBytes int64 `json:"total_bytes"`
	// Features describe what was found on this host, for people: versions, what is missing.
	Features map[string]string `json:"features,omitempty"`
}

// Tight reports whether so little space is left, less than a twentieth, that what only pins some should
// go.
func (p Properties) Tight() bool { return p.FreeBytes < p.TotalBytes/20 }

// Options are what a volume is made with.
type Options struct {
	// LimitBytes is its size limit; zero means none.
	LimitBytes int64
	// Owner and Group own the root directory of the volume. Zero is root, or the agent's own.
	Owner, Group int
	Labels       Labels
	// Profile is one of cluster.Profiles, or empty.
	Profile string
	// Settings are those of the user for this kind of backend, without its name.
	Settings map[string]string
}

// Settings returns the options of a volume that are for a kind of backend, without its name.
func Settings(backend string, options map[string]string) map[string]string {
	mine := map[string]string{}
	for key, value := range options {
		if name, ok := strings.CutPrefix(key, backend+"."); ok {
			mine[name] = value
		}
	}
	return mine
}

// NoSettings returns cluster.ErrInvalid if there are settings, for a backend that knows none.
func (o Options) NoSettings(backend string) error {
	if len(o.Settings) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(o.Settings))
	return fmt.Errorf("%w: %s: the %s backend has no settings; leave them out", cluster.ErrInvalid, strings.Join(names, ", "), backend)
}

// Own gives the root directory of a new volume to its owner. An agent that is not root leaves it
// as its own.
func (o Options) Own(root string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Lchown(root, o.Owner, o.Group)
}

// A Copy is what one node holds of a volume.
type Copy struct {
	Volume cluster.VolumeID `json:"volume"`
	Role   cluster.Role     `json:"role"`
	Epoch  cluster.Epoch    `json:"epoch"`
	// Open: applications can write to it now.
	Open bool `json:"open"`
	// Unclosed: it was open, when the host lost its power say, and is not now. Close it before anything
	// else than Open: what was acknowledged last may not be in the content yet.
	Unclosed bool `json:"unclosed,omitempty"`
	// Path is where applications find it when it is open.
	Path string `json:"path"`
	// Head is the GUID of the snapshot that the content is exactly at; empty when it was
	// opened, and so may have been written, after its last snapshot.
	Head string `json:"head"`
	// Snapshots are sorted from old to new.
	Snapshots []cluster.Snapshot `json:"snapshots"`
	// Bases are snapshots whose content is no longer here, but which a difference can build on:
	// Send takes them as Delta.From.
	Bases     []cluster.Snapshot `json:"bases,omitempty"`
	UsedBytes int64              `json:"used_bytes"`
	// LimitBytes is the size limit; zero means none.
	LimitBytes int64 `json:"limit_bytes"`
	// Changed is when the role or the epoch last changed: the grace period of an old owner's
	// copy counts from here.
	Changed time.Time `json:"changed"`
	// Partial describes a transfer that was cut and can go on.
	Partial *Partial `json:"partial,omitempty"`
	// Rollback is the wish of the last Rollback.
	Rollback string `json:"rollback,omitempty"`
	// Labels are set by backends that show them.
	Labels *Labels `json:"labels,omitempty"`
	// Obstacle is why Open would fail now, whatever the order: a key that is not loaded. Empty: it
	// would not.
	Obstacle string `json:"obstacle,omitempty"`
	// Warning is for the operator: over its limit, not verified since a crash, not readable.
	Warning string `json:"warning,omitempty"`
}

// A Partial is a transfer that has arrived in part.
type Partial struct {
	// From and To are those of the Delta that was cut.
	From cluster.SnapshotName `json:"from"`
	To   cluster.SnapshotName `json:"to"`
	// Token tells the sender what need not be sent again. Only the backend reads it.
	Token []byte `json:"token"`
}

// A Delta names the difference between two snapshots of a volume.
type Delta struct {
	Volume cluster.VolumeID `json:"volume"`
	// From is a snapshot that both sides hold; empty for a full stream.
	From cluster.SnapshotName `json:"from"`
	To   cluster.SnapshotName `json:"to"`
	// Resume is the Token of the receiver's Partial; empty to start anew.
	Resume []byte `json:"resume,omitempty"`
	// Files ships by the files view, for a receiver with a backend of another kind.
	Files bool `json:"files,omitempty"`
	// Labels are what the receiver's node calls the volume.
	Labels Labels `json:"-"`
}

// HasFiles reports whether backends of that name can ship to and from others of another kind, file
// by file.
func HasFiles(backend string) bool { return backend == "dir" || backend == "btrfs" }

func (d Delta) String() string {
	if d.From == "" {
		return fmt.Sprintf("%s@%s", d.Volume, d.To)
	}
	return fmt.Sprintf("%s@%s..%s", d.Volume, d.From, d.To)
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
