package apitest

import (
	"context"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Volumes implements api.Service.
func (s *Service) Volumes() []wire.VolumeStatus {
	w, _ := s.see()
	return w.Volumes
}

// Volume implements api.Service.
func (s *Service) Volume(name string) (wire.VolumeStatus, error) {
	for _, v := range s.Volumes() {
		if v.Volume.Name == name || string(v.Volume.ID) == name {
			return v, nil
		}
	}
	return wire.VolumeStatus{}, fmt.Errorf("%w: no volume %s", cluster.ErrNotFound, name)
}

// VolumeChanges implements api.Service.
func (s *Service) VolumeChanges(ctx context.Context, since cluster.Revision) (wire.VolumeChanges, error) {
	c := wire.VolumeChanges{Revision: 1, Reset: true}
	for _, v := range s.Volumes() {
		c.Volumes = append(c.Volumes, wire.VolumeBrief{ID: v.Volume.ID, Name: v.Volume.Name})
	}
	if since < c.Revision {
		return c, nil
	}
	<-ctx.Done()
	return c, ctx.Err()
}

// RequestSnapshot implements api.Service.
func (s *Service) RequestSnapshot(_ context.Context, volume string, r wire.SnapshotRequest) error {
	return s.call("RequestSnapshot", volume, r)
}

// DropSnapshot implements api.Service.
func (s *Service) DropSnapshot(_ context.Context, volume string, snapshot cluster.SnapshotName) (wire.VolumeStatus, error) {
	return called(volume), s.call("DropSnapshot", volume, snapshot)
}

// RollbackVolume implements api.Service.
func (s *Service) RollbackVolume(_ context.Context, volume string, r wire.RollbackRequest) (wire.VolumeStatus, error) {
	return called(volume), s.call("RollbackVolume", volume, r)
}

// TakeOverVolume implements api.Service.
func (s *Service) TakeOverVolume(_ context.Context, volume string, r wire.TakeoverRequest) (wire.VolumeStatus, error) {
	return called(volume), s.call("TakeOverVolume", volume, r)
}

// CreateVolume implements api.Service.
func (s *Service) CreateVolume(_ context.Context, r wire.VolumeRequest) (wire.VolumeStatus, error) {
	return called(r.Name), s.call("CreateVolume", r)
}

// ResizeVolume implements api.Service.
func (s *Service) ResizeVolume(_ context.Context, volume string, r wire.ResizeRequest) (wire.VolumeStatus, error) {
	return called(volume), s.call("ResizeVolume", volume, r)
}

// DeleteVolume implements api.Service.
func (s *Service) DeleteVolume(_ context.Context, volume string) (wire.VolumeStatus, error) {
	return called(volume), s.call("DeleteVolume", volume)
}

// UndeleteVolume implements api.Service.
func (s *Service) UndeleteVolume(_ context.Context, volume string) (wire.VolumeStatus, error) {
	return called(volume), s.call("UndeleteVolume", volume)
}

func called(name string) wire.VolumeStatus {
	return wire.VolumeStatus{Volume: cluster.Volume{Name: name}}
}
