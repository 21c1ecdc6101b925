package btrfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
)

// A mark is by what a snapshot is known to be what it was when it was made, or when it arrived. To
// compare it takes one call of the kernel, so that is done before each use.
type mark struct {
	// UUID is that of the subvolume on this file system, Lineage that of its content.
	UUID    string `json:"uuid"`
	Lineage string `json:"lineage"`
	// Changed is the transaction that was the last to change anything in it.
	Changed uint64 `json:"changed"`
	// Frozen is from before nothing could be written to it any more, by the clock of ctimes.
	Frozen time.Time `json:"frozen"`
}

// errAltered: somebody has had hands on a snapshot.
var errAltered = fmt.Errorf("%w: it was changed from outside", cluster.ErrConflict)

// markOf returns the mark of a read-only subvolume that is on the disk.
func markOf(path string, frozen time.Time) (mark, error) {
	info, err := infoOf(path)
	if err != nil {
		return mark{}, err
	}
	if !isSubvolume(path) || !info.readOnly() {
		return mark{}, fmt.Errorf("%w: it is no read-only subvolume", errAltered)
	}
	return mark{UUID: fmt.Sprintf("%x", info.UUID), Lineage: info.lineage(), Changed: info.Ctransid, Frozen: frozen}, nil
}

// set puts a mark on a record.
func (m mark) set(r *copystore.Record, name cluster.SnapshotName) {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings, a number and a time
	}
	if r.Marks == nil {
		r.Marks = map[cluster.SnapshotName]json.RawMessage{}
	}
	r.Marks[name] = b
}

// marked returns the mark of a snapshot on a record, if there is one.
func marked(r copystore.Record, name cluster.SnapshotName) (m mark, is bool, err error) {
	text, is := r.Marks[name]
	if is {
		err = json.Unmarshal(text, &m)
	}
	return m, is, err
}

// longAgo is when a snapshot was frozen of which an earlier version noted nothing: no look at its files
// is believed.
var longAgo = time.Unix(1, 0).UTC()

// intact returns the mark of a snapshot that is on the record, and on the disk as it was left.
// Otherwise the result is an errAltered, or os.ErrNotExist.
func (c *subvolumes) intact(r copystore.Record, name cluster.SnapshotName) (mark, error) {
	if _, err := r.Snapshot(name); err != nil {
		return mark{}, err
	}
	left, is, err := marked(r, name)
	if err != nil {
		return mark{}, fmt.Errorf("snapshot %s: the mark on its record: %w", name, err)
	}
	if !is {
		left.Frozen = longAgo
	}
	now, err := markOf(c.snapshotPath(name), left.Frozen)
	if err == nil && is && now != left {
		err = errAltered
	}
	if err != nil {
		return mark{}, fmt.Errorf("snapshot %s: %w", name, err)
	}
	return now, nil
}

// head returns the snapshot that a record says its content is at.
func head(r copystore.Record) (cluster.SnapshotName, error) {
	for _, s := range r.Snapshots {
		if s.GUID == r.Head && r.Head != "" {
			return s.Name, nil
		}
	}
	return "", fmt.Errorf("snapshot %q: %w", r.Head, cluster.ErrNotFound)
}

// diverged sets a copy aside that is not what its record says, and reports it. The caller holds Op.
func (c *subvolumes) diverged(why error) error {
	common := cluster.SnapshotName("")
	r := c.Record()
	for _, s := range r.Snapshots {
		if _, err := c.intact(r, s.Name); err == nil {
			common = s.Name
		}
	}
	kept, err := c.SetAside("diverged")
	if err != nil {
		return errors.Join(why, err)
	}
	return fmt.Errorf("%w: %w", &volume.Diverged{Volume: c.ID, Common: common, KeptAs: kept}, why)
}

// coarseNow is the clock by which the kernel stamps files: it stands still between two ticks.
func coarseNow() time.Time {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
		panic(err) // every kernel has it
	}
	return time.Unix(now.Unix()).UTC()
}
