package control

import (
	"context"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// Volumes returns every volume, deleted ones too, by name.
func (s *Service) Volumes() []wire.VolumeStatus {
	return report.Volumes(s.glance().View)
}

// Volume returns the volume of that name, or that id; by its id a deleted one too.
func (s *Service) Volume(nameOrID string) (wire.VolumeStatus, error) {
	return report.Volume(s.glance().View, nameOrID)
}

// CreateVolume adds a volume, which its first owner makes. An application of the same name will
// find its data.
func (s *Service) CreateVolume(ctx context.Context, r wire.VolumeRequest) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "create", r.Name, func(w *rules.Write) (cluster.Volume, error) { return w.CreateVolume(r) })
}

// ResizeVolume gives a volume another size limit; zero is none.
func (s *Service) ResizeVolume(ctx context.Context, nameOrID string, r wire.ResizeRequest) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "resize", nameOrID, func(w *rules.Write) (cluster.Volume, error) { return w.ResizeVolume(nameOrID, r) })
}

// DeleteVolume marks a volume, named or by id, as deleted: its copies go into the trash of their
// nodes.
func (s *Service) DeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "delete", nameOrID, func(w *rules.Write) (cluster.Volume, error) { return w.DeleteVolume(nameOrID) })
}

// UndeleteVolume brings a deleted volume back: the one of that id, or the one of that name that was
// deleted last.
func (s *Service) UndeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "undelete", nameOrID, func(w *rules.Write) (cluster.Volume, error) { return w.UndeleteVolume(nameOrID) })
}

// RequestSnapshot asks the owner of a volume, named or by id, to make a snapshot.
func (s *Service) RequestSnapshot(ctx context.Context, volume string, r wire.SnapshotRequest) error {
	_, err := s.changeVolume(ctx, "make a snapshot of", volume, func(w *rules.Write) (cluster.Volume, error) { return w.RequestSnapshot(volume, r) })
	return err
}

// DropSnapshot takes back the request for a snapshot: whoever holds it removes it.
func (s *Service) DropSnapshot(ctx context.Context, volume string, snapshot cluster.SnapshotName) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "drop a snapshot of", volume, func(w *rules.Write) (cluster.Volume, error) { return w.DropSnapshot(volume, snapshot) })
}

// RollbackVolume asks the owner of a volume to make its content that of a snapshot again. What was
// written after it is lost, and so are later snapshots: without force it is refused if somebody
// counts on one of them. Asked again while that is under way it changes nothing; asked for another
// snapshot it replaces what was asked before.
func (s *Service) RollbackVolume(ctx context.Context, nameOrID string, r wire.RollbackRequest) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "roll back", nameOrID, func(w *rules.Write) (cluster.Volume, error) { return w.RollBackVolume(nameOrID, r) })
}

// TakeOverVolume makes a node that holds a replica the owner of a volume whose owner says that it has
// lost its copy. What was written after the replica's last snapshot is lost, and the event says of how
// long that is. An owner that is not heard of may still write: nothing is taken from it.
func (s *Service) TakeOverVolume(ctx context.Context, nameOrID string, r wire.TakeoverRequest) (wire.VolumeStatus, error) {
	return s.changeVolume(ctx, "take over", nameOrID, func(w *rules.Write) (cluster.Volume, error) { return w.TakeOverVolume(nameOrID, r) })
}

// changeVolume makes a write that changes a volume, and returns it as it is then.
func (s *Service) changeVolume(ctx context.Context, call, nameOrID string, change func(*rules.Write) (cluster.Volume, error)) (wire.VolumeStatus, error) {
	var v cluster.Volume
	_, err := s.update(ctx, func(w *rules.Write) (err error) {
		v, err = change(w)
		return err
	})
	if err != nil {
		return wire.VolumeStatus{}, fmt.Errorf("%s volume %s: %w", call, nameOrID, err)
	}
	return s.Volume(string(v.ID))
}
