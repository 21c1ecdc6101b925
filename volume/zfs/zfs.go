// Package zfs stores volumes as datasets of an OpenZFS pool.
//
//	b, err := zfs.Open("tank/drover", zfs.Options{Dir: "/var/lib/drover/volumes"})
//	defer b.Shut()
//
//	tank/drover/pgdata                       the volume, mounted at <mount root>/<volume id>
//	tank/drover/pgdata@move-1a2b3c4d-1-2     a snapshot that was shipped, held
//	tank/drover/pgdata#drover:move-1a2b...   a bookmark: a base whose content is gone
//	tank/drover/drover:trash/pgdata.removed.20261125T101500.000
//
// What a copy is stands in user properties of its dataset, so that `zfs list` and `zfs get` tell it
// and no file can disagree with the pool:
//
//	drover:volume       the volume's id; a dataset without it is somebody else's
//	drover:role         primary or replica
//	drover:epoch        the highest epoch that the copy has seen
//	drover:open         on while applications may write
//	drover:incoming     the snapshot that a stream of files is to make; until then nothing of it counts
//	drover:name, drover:application, drover:changed, drover:rollback, drover:trash
//
// and in those of its snapshots: drover:snapshot says what one is for, drover:guid who it is where it
// came file by file, drover:digest what both sides have summed up, drover:frozen from when it may be.
//
// Only values that were set here count: streams bring those of the sender along, and children
// inherit those of their parents. Identity is the GUID of a snapshot, order is createtxg. Whether a
// copy is exactly at a snapshot, the pool knows (property written).
//
// Snapshots that Drover did not make are left alone and are never a base. A dataset whose volume
// is a replica is readonly, canmount=noauto and not mounted.
//
// Between two of this kind a transfer is ZFS's own stream, and one that is cut goes on by its resume
// token. To and from backends of other kinds, and where ZFS does not know the base as its own on both
// sides, it goes file by file; one that is cut then starts again.
//
// The package needs root and OpenZFS 0.8 or later.
package zfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Options are where things go on this host.
type Options struct {
	// Dir is a directory of the agent's own, for its lock and the places to mount at.
	Dir string
	// MountRoot is where volumes are mounted under their ids; empty: below Dir.
	MountRoot string
	// Private lets nobody but root reach the volumes by their paths, for containers: they get them
	// mounted. A mount root that is there already and not below Dir stays as it is.
	Private bool
	// Log may be nil.
	Log *slog.Logger
}

// A Backend stores volumes below one dataset. It implements volume.Backend.
type Backend struct {
	root string // "tank/drover"
	o    Options
	lock *os.File

	mu   sync.Mutex
	busy map[cluster.VolumeID]*sync.Mutex
	seen *inventory // what was listed last; it may be out of date
	// changes counts what was done here; known is how many there were when seen was asked for.
	changes, known uint64
	probed         *features
	looked         map[string]looked // by dataset
}

// Open takes the dataset for this process alone. It need not be there yet: a pool that is missing
// makes every method fail with cluster.ErrUnavailable until it is imported. A host without ZFS's
// programs, or with ones that are too old, is cluster.ErrUnsupported.
func Open(root string, o Options) (*Backend, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MountRoot == "" {
		o.MountRoot = filepath.Join(o.Dir, "mounts")
	}
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("%w: the zfs backend needs root", cluster.ErrUnsupported)
	}
	if pool, _, below := strings.Cut(root, "/"); pool == "" || !below || strings.HasSuffix(root, "/") {
		return nil, fmt.Errorf("%w: pool %q: want a dataset of Drover's own, such as tank/drover", cluster.ErrInvalid, root)
	}
	if err := available(); err != nil {
		return nil, err
	}
	if err := makePlaces(o); err != nil {
		return nil, err
	}
	b := &Backend{root: root, o: o, busy: map[cluster.VolumeID]*sync.Mutex{}, looked: map[string]looked{}}
	if err := b.take(); err != nil {
		return nil, err
	}
	soon, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	if err := within(soon, b.closeViews); err != nil { // a pool that is suspended has them wait
		o.Log.Warn("what was mounted for a transfer stays mounted", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.ready(ctx); err != nil && !errors.Is(err, cluster.ErrUnavailable) {
		return nil, errors.Join(err, b.Shut())
	} else if err != nil {
		o.Log.Error("the volumes cannot be seen", "error", err, "hint", cluster.Hint(err))
	}
	return b, nil
}

// makePlaces makes the directories that volumes are mounted in. Files in them have the owners and modes
// that applications give them, a program that runs as root for whoever starts it too.
func makePlaces(o Options) error {
	passable := os.FileMode(0o711)
	if o.Private {
		passable = 0o700
	}
	for _, dir := range []string{o.Dir, o.MountRoot} {
		if err := os.MkdirAll(dir, passable); err != nil {
			return err
		}
	}
	return os.Chmod(o.Dir, passable)
}

// take locks the directory, so that no two agents work on the same datasets.
func (b *Backend) take() error {
	f, err := os.OpenFile(filepath.Join(b.o.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("%w: %s is in use by another agent", cluster.ErrConflict, b.o.Dir)
	}
	b.lock = f
	return nil
}

// Shut releases the datasets. Volumes that are open stay what they are.
func (b *Backend) Shut() error { return b.lock.Close() }

// Path implements volume.Backend.
func (b *Backend) Path(id cluster.VolumeID) string { return filepath.Join(b.o.MountRoot, string(id)) }

// Copies implements volume.Backend.
func (b *Backend) Copies(ctx context.Context) ([]volume.Copy, error) {
	all, err := b.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the volumes: %w", err)
	}
	var copies []volume.Copy
	for _, d := range all.datasets {
		if d.volume() != "" && !d.discarded() {
			copies = append(copies, b.copyOf(d, all))
		}
	}
	return sortCopies(copies), nil
}

// Properties implements volume.Backend.
func (b *Backend) Properties() volume.Properties {
	f := b.features()
	return volume.Properties{Name: "zfs", Instant: true, Resumable: true, Enforced: true, Bases: f.has("bookmarks"),
		Proof: "the stream's checksums, and the GUID of the snapshot", Features: f.describe()}
}

// Space implements volume.Backend.
func (b *Backend) Space(ctx context.Context) (volume.Space, error) {
	all, err := b.list(ctx)
	if err != nil {
		return volume.Space{}, err
	}
	return all.space(), nil
}

// hold keeps others from changing the copy of a volume until the function that it returns is called.
func (b *Backend) hold(id cluster.VolumeID) (release func()) {
	b.mu.Lock()
	m := b.busy[id]
	if m == nil {
		m = &sync.Mutex{}
		b.busy[id] = m
	}
	b.mu.Unlock()
	m.Lock()
	return func() {
		b.changed()
		m.Unlock()
	}
}

// find returns the copy of a volume as it is now, or cluster.ErrNotFound. It asks for the dataset
// where the volume was last; only if that is no longer it, for all of them.
func (b *Backend) find(ctx context.Context, id cluster.VolumeID) (*dataset, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	if d := b.last().of(id); d != nil {
		now, err := b.read(ctx, d.name, listed)
		if err == nil && now.of(id) != nil {
			return now.of(id), nil
		}
	}
	b.changed()
	all, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	if d := all.of(id); d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("volume %s: %w on this node", id, cluster.ErrNotFound)
}

// last is what was listed last; nil at first.
func (b *Backend) last() *inventory {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen
}

// stamp is the present time as it stands in a property.
func stamp() string { return time.Now().UTC().Format(time.RFC3339Nano) }
