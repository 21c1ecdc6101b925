package api

import (
	"context"
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

func (a *api) volumes(*gin.Context, pki.Identity) (reply, error) {
	return ok(list(a.service.Volumes())), nil
}

func (a *api) volume(c *gin.Context, _ pki.Identity) (reply, error) {
	v, err := a.service.Volume(c.Param("volume"))
	return ok(v), err
}

func (a *api) volumeChanges(c *gin.Context, _ pki.Identity) (reply, error) {
	p, err := pollOf(c)
	if err != nil {
		return reply{}, err
	}
	var changes wire.VolumeChanges
	changed, err := p.run(c.Request.Context(), func(ctx context.Context) (err error) {
		changes, err = a.service.VolumeChanges(ctx, cluster.Revision(p.since))
		return err
	})
	if err != nil || !changed {
		return notModified, err
	}
	return ok(changes), nil
}

func (a *api) createVolume(c *gin.Context, who pki.Identity) (reply, error) {
	var r wire.VolumeRequest
	if err := decodeStrictly(c, &r); err != nil {
		return reply{}, err
	}
	if who.Role == pki.RolePlugin {
		if err := a.pluginMayCreate(r); err != nil {
			return reply{}, err
		}
	}
	v, err := a.service.CreateVolume(c.Request.Context(), r)
	return created(v), err
}

// pluginMayCreate refuses what would give a plugin, and so its host, more than the volumes that no
// application uses: a clone of one that is used could be moved where the volume itself can't.
func (a *api) pluginMayCreate(r wire.VolumeRequest) error {
	switch {
	case r.Origin == nil:
		return nil
	case r.Origin.Adopt != "":
		return fmt.Errorf("%w: a plugin does not adopt what is not the cluster's", cluster.ErrForbidden)
	}
	source, err := a.service.Volume(string(r.Origin.Volume))
	if err != nil || source.Application == "" {
		return nil // of one that is not there the service says so
	}
	err = fmt.Errorf("%w: volume %s is that of application %s, and a plugin does not clone those", cluster.ErrForbidden, r.Origin.Volume, source.Application)
	return cluster.WithHint(err, "a user may: drover volume clone")
}

func (a *api) deleteVolume(c *gin.Context, _ pki.Identity) (reply, error) {
	v, err := a.service.DeleteVolume(c.Request.Context(), c.Param("volume"))
	return ok(v), err
}

func (a *api) undeleteVolume(c *gin.Context, _ pki.Identity) (reply, error) {
	v, err := a.service.UndeleteVolume(c.Request.Context(), c.Param("volume"))
	return ok(v), err
}

func (a *api) resizeVolume(c *gin.Context, _ pki.Identity) (reply, error) {
	var r wire.ResizeRequest
	if err := decodeStrictly(c, &r); err != nil {
		return reply{}, err
	}
	v, err := a.service.ResizeVolume(c.Request.Context(), c.Param("volume"), r)
	return ok(v), err
}

func (a *api) takeOverVolume(c *gin.Context, _ pki.Identity) (reply, error) {
	var r wire.TakeoverRequest
	if err := decodeStrictly(c, &r); err != nil {
		return reply{}, err
	}
	v, err := a.service.TakeOverVolume(c.Request.Context(), c.Param("volume"), r)
	return ok(v), err
}

func (a *api) rollbackVolume(c *gin.Context, _ pki.Identity) (reply, error) {
	var r wire.RollbackRequest
	if err := decodeStrictly(c, &r); err != nil {
		return reply{}, err
	}
	v, err := a.service.RollbackVolume(c.Request.Context(), c.Param("volume"), r)
	return ok(v), err
}

func (a *api) dropSnapshot(c *gin.Context, _ pki.Identity) (reply, error) {
	v, err := a.service.DropSnapshot(c.Request.Context(), c.Param("volume"), cluster.SnapshotName(c.Param("snapshot")))
	return ok(v), err
}

// snapshots answers those that the owner's copy holds for users; what transfers left is not
// theirs to count on.
func (a *api) snapshots(c *gin.Context, _ pki.Identity) (reply, error) {
	v, err := a.service.Volume(c.Param("volume"))
	if err != nil {
		return reply{}, err
	}
	kept := []cluster.Snapshot{}
	for _, copied := range v.Copies {
		if copied.Node != v.Ownership.Owner {
			continue
		}
		for _, s := range copied.Copy.Snapshots {
			if s.Kept {
				kept = append(kept, s)
			}
		}
	}
	return ok(kept), nil
}

func (a *api) requestSnapshot(c *gin.Context, _ pki.Identity) (reply, error) {
	var r wire.SnapshotRequest
	if err := decodeStrictly(c, &r); err != nil {
		return reply{}, err
	}
	return noContent, a.service.RequestSnapshot(c.Request.Context(), c.Param("volume"), r)
}
