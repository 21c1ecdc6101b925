package rules

import (
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/wire"
)

// RequestSnapshot asks the owner of a volume, named or by id, to make a snapshot.
func (w *Write) RequestSnapshot(volume string, r wire.SnapshotRequest) (cluster.Volume, error) {
	return w.changeVolume(volume, func(v *cluster.Volume) error {
		o, owned := w.Ownerships.Get(v.ID)
		switch {
		case !cluster.ValidSnapshotName(r.Name):
			return cluster.CheckName(string(r.Name))
		case !owned:
			return fmt.Errorf("%w: volume %s has no owner yet", cluster.ErrConflict, records.Name(*v))
		case slices.Contains(v.SnapshotNames(), r.Name):
			return fmt.Errorf("snapshot %s of volume %s %w", r.Name, records.Name(*v), cluster.ErrExists)
		}
		v.Snapshots = append(v.Snapshots, cluster.SnapshotRequest{Name: r.Name, Epoch: o.Epoch})
		return nil
	})
}

// DropSnapshot takes back the request for a snapshot: whoever holds it removes it.
func (w *Write) DropSnapshot(volume string, snapshot cluster.SnapshotName) (cluster.Volume, error) {
	return w.changeVolume(volume, func(v *cluster.Volume) error {
		if err := w.unaccepted(); err != nil {
			return err
		}
		switch {
		case !slices.Contains(v.SnapshotNames(), snapshot):
			return fmt.Errorf("%w; those that users asked for are: %s", records.NotFound("snapshot", snapshot), records.List(v.SnapshotNames()))
		case w.rollingBack(*v) && v.Rollback.Snapshot == snapshot:
			return fmt.Errorf("%w: the volume is going back to it", cluster.ErrConflict)
		}
		forgetRequests(v, snapshot)
		return nil
	})
}

func forgetRequests(v *cluster.Volume, snapshots ...cluster.SnapshotName) {
	v.Snapshots = slices.DeleteFunc(v.Snapshots, func(r cluster.SnapshotRequest) bool { return slices.Contains(snapshots, r.Name) })
}
