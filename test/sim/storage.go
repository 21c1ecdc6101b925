package sim

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	volumemem "github.com/drover/drover/volume/mem"
)

// storage is the disk as one life of the agent sees it. It implements volume.Backend. What destroys
// something is held against what was asked for: see destroy.go.
type storage struct {
	*volumemem.Backend
	life *life
}

func (s storage) do(ctx context.Context, what string, do func() error) error {
	return s.life.act(ctx, what, do)
}

func (s storage) Create(ctx context.Context, id cluster.VolumeID, o volume.Options) error {
	return s.do(ctx, "create "+short(id), func() error {
		s.life.host.world.mayCreate(s.life.host, id)
		return s.Backend.Create(ctx, id, o)
	})
}

func (s storage) Open(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch, base string) (path string, err error) {
	err = s.do(ctx, fmt.Sprintf("open %s at epoch %d", short(id), epoch), func() error {
		was, _ := volume.Find(ctx, s.Backend, id)
		path, err = s.Backend.Open(ctx, id, epoch, base)
		if err == nil && was.Role == cluster.Replica {
			s.life.host.world.begins(s.life.host, id, epoch)
		}
		return err
	})
	return path, err
}

func (s storage) Close(ctx context.Context, id cluster.VolumeID) error {
	return s.do(ctx, "close "+short(id), func() error { return s.Backend.Close(ctx, id) })
}

func (s storage) Demote(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	return s.do(ctx, fmt.Sprintf("demote %s to epoch %d", short(id), epoch), func() error {
		err := s.Backend.Demote(ctx, id, epoch)
		if err == nil {
			s.life.host.heal(id)
		}
		return err
	})
}

func (s storage) Snapshot(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName, keep bool) (made cluster.Snapshot, err error) {
	err = s.do(ctx, fmt.Sprintf("snapshot %s of %s", name, short(id)), func() error {
		if keep && s.life.host.ails("full", id) {
			return errFull
		}
		if err := s.life.hang(ctx, !keep); err != nil {
			return err
		}
		made, err = s.Backend.Snapshot(ctx, id, name, keep)
		return err
	})
	return made, err
}

func (s storage) Drop(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName) error {
	return s.do(ctx, fmt.Sprintf("drop snapshot %s of %s", name, short(id)), func() error {
		s.life.host.world.mayDrop(s.life.host, id, name)
		return s.Backend.Drop(ctx, id, name)
	})
}

func (s storage) Rollback(ctx context.Context, id cluster.VolumeID, to cluster.SnapshotName, wish string) error {
	return s.do(ctx, fmt.Sprintf("roll %s back to %s", short(id), to), func() error {
		was, _ := volume.Find(ctx, s.Backend, id)
		err := s.Backend.Rollback(ctx, id, to, wish)
		if err == nil && was.Rollback != wish {
			s.life.host.world.wentBack(s.life.host, was, to, wish)
		}
		return err
	})
}

func (s storage) Send(ctx context.Context, d volume.Delta, w io.Writer) error {
	return s.do(ctx, "send "+short(d.Volume), func() error {
		if err := s.life.hang(ctx, true); err != nil {
			return err
		}
		return s.Backend.Send(ctx, d, w)
	})
}

func (s storage) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	return s.do(ctx, "receive "+short(d.Volume), func() error { return s.Backend.Receive(ctx, d, r) })
}

func (s storage) Resize(ctx context.Context, id cluster.VolumeID, bytes int64) error {
	return s.do(ctx, "resize "+short(id), func() error {
		if s.life.host.ails("full", id) {
			return errFull
		}
		return s.Backend.Resize(ctx, id, bytes)
	})
}

func (s storage) Remove(ctx context.Context, id cluster.VolumeID) error {
	return s.do(ctx, "remove "+short(id), func() error {
		s.life.host.world.mayRemove(s.life.host, id)
		return s.Backend.Remove(ctx, id)
	})
}

func (s storage) Restore(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	return s.do(ctx, "restore "+short(id), func() error { return s.Backend.Restore(ctx, id, epoch) })
}

func (s storage) Purge(ctx context.Context, before time.Time) error {
	return s.do(ctx, "purge", func() error {
		was, _ := s.Backend.Trash(ctx)
		err := s.Backend.Purge(ctx, before)
		if is, _ := s.Backend.Trash(ctx); len(is) < len(was) {
			s.life.host.world.breached("a removed copy can be brought back for %s: %s empties its trash after %s at the most",
				trashGrace, s.life.host.name, time.Since(s.life.host.world.began).Round(time.Second))
		}
		return err
	})
}

func short(id cluster.VolumeID) string { return string(id[:4]) }
