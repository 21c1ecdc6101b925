package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	ctl "github.com/drover/drover/control"
	"github.com/drover/drover/control/wire"
)

// scrap takes the application away and deletes its volume in one write, as a client of the first API does,
// whatever goes on with it.
func (o *operator) scrap(app *register) func(context.Context, *ctl.Service) error {
	app.intend(func(i *intent) { i.deleted = true })
	return edit(func(c *cluster.Configuration) {
		if v, exists := c.Volumes[app.volume]; exists {
			v.Deleted = true
			c.Volumes[app.volume] = v
			delete(c.Applications, app.name)
			delete(c.Leases, app.volume)
		}
	})
}

// resize gives the volume another size.
func (o *operator) resize(app *register) func(context.Context, *ctl.Service) error {
	r := wire.ResizeRequest{MaximumSize: int64(1+o.dice.below(9)) << 30}
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.ResizeVolume(ctx, string(app.volume), r)
		return err
	}
}

// snapshot has a snapshot made that is kept.
func (o *operator) snapshot(app *register) func(context.Context, *ctl.Service) error {
	var name cluster.SnapshotName
	app.intend(func(i *intent) {
		name = cluster.SnapshotName(fmt.Sprintf("kept-%d", len(i.snapshots)))
		i.snapshots = append(i.snapshots, name)
	})
	return func(ctx context.Context, s *ctl.Service) error {
		return s.RequestSnapshot(ctx, string(app.volume), wire.SnapshotRequest{Name: name})
	}
}

// one returns one of the snapshots that were asked for.
func (o *operator) one(app *register) (name cluster.SnapshotName) {
	app.intend(func(i *intent) {
		if len(i.snapshots) > 0 {
			name = i.snapshots[o.dice.below(len(i.snapshots))]
		}
	})
	return name
}

// unkeep gives a snapshot up.
func (o *operator) unkeep(app *register) func(context.Context, *ctl.Service) error {
	name := o.one(app)
	app.intend(func(i *intent) { i.unwanted[name] = true })
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.DropSnapshot(ctx, string(app.volume), name)
		return err
	}
}

// rollback makes the content that of a snapshot again.
func (o *operator) rollback(app *register) func(context.Context, *ctl.Service) error {
	r := wire.RollbackRequest{Snapshot: o.one(app), Force: o.dice.one(3)}
	if r.Force {
		app.intend(func(i *intent) {
			for _, name := range i.snapshots {
				i.unwanted[name] = true
			}
		})
	}
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.RollbackVolume(ctx, string(app.volume), r)
		return err
	}
}

// takeover lets a replica be the volume, if its owner has lost it.
func (o *operator) takeover(app *register) func(context.Context, *ctl.Service) error {
	r := wire.TakeoverRequest{Node: string(o.node()), Older: o.dice.one(2)}
	return func(ctx context.Context, s *ctl.Service) error {
		before, _ := s.Volume(string(app.volume))
		_, err := s.TakeOverVolume(ctx, string(app.volume), r)
		if err == nil || errors.Is(err, cluster.ErrUnavailable) { // who is not answered does not know
			app.intend(func(i *intent) { i.takeovers[before.Ownership.Epoch+1] = true })
		}
		return err
	}
}

// accept makes what is on record count, after the store went back.
func (o *operator) accept(*register) func(context.Context, *ctl.Service) error {
	return func(ctx context.Context, s *ctl.Service) error {
		for _, app := range o.world.apps {
			app.intend(func(i *intent) { i.accepted = true })
		}
		_, err := s.AcceptRecovery(ctx, wire.AcceptRequest{})
		o.world.happened("%s: accepts what is on record: %v", o.name, err)
		return err
	}
}

// impostor has a node register as what another one is that is there.
func (o *operator) impostor(*register) func(context.Context, *ctl.Service) error {
	victim, what := o.node(), o.dice.below(3)
	return func(ctx context.Context, s *ctl.Service) error {
		for _, n := range s.Nodes() {
			if n.Node.ID != victim || !n.Live && what > 0 {
				continue
			}
			is := n.Node
			is.ID, is.Name, is.Address, is.TransferKey = "z", "z", "10.0.0.99", "key of z"
			switch what {
			case 0:
				is.TransferKey = n.Node.TransferKey
			case 1:
				is.Name = n.Node.Name
			case 2:
				is.Address = n.Node.Address
			}
			if s.Register(wire.WithInstance(ctx, "impostor"), is) == nil {
				o.world.breached("nobody gets in: a node registers with what is %s's: %+v", victim, is)
			}
		}
		return nil
	}
}

// nameless makes a volume with a name like an id, which must be refused: it could be another one's.
func (o *operator) nameless(app *register) func(context.Context, *ctl.Service) error {
	r := wire.VolumeRequest{Name: string(cluster.VolumeIDForName(app.name + "?")), Node: string(o.node())}
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.CreateVolume(ctx, r)
		if err == nil {
			o.world.breached("a volume is one: there is one named like the id of another: %s", r.Name)
		}
		return err
	}
}
