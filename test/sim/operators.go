package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	ctl "github.com/drover/drover/control"
	"github.com/drover/drover/control/wire"
)

// An order is something that an operator may ask for, at any moment and in any order.
type order struct {
	name  string
	often int
	do    func(o *operator, app *register) func(context.Context, *ctl.Service) error
}

// orders are all there are.
var orders = []order{
	{"deploy", 6, (*operator).deploy},
	{"move", 6, (*operator).move},
	{"undeploy", 2, (*operator).undeploy},
	{"abort", 2, (*operator).abort},
	{"create", 1, (*operator).create},
	{"lease", 2, (*operator).lease},
	{"release", 2, (*operator).release},
	{"delete", 1, (*operator).delete},
	{"undelete", 4, (*operator).undelete},
	{"scrap", 1, (*operator).scrap},
	{"resize", 1, (*operator).resize},
	{"snapshot", 3, (*operator).snapshot},
	{"unkeep", 1, (*operator).unkeep},
	{"rollback", 1, (*operator).rollback},
	{"takeover", 2, (*operator).takeover},
	{"accept", 1, (*operator).accept},
	{"impostor", 1, (*operator).impostor},
	{"nameless", 1, (*operator).nameless},
}

// An operator is a user who asks for things.
type operator struct {
	world *world
	name  string
	dice  *dice
}

// operate is the life of an operator.
func (w *world) operate(n int) {
	name := fmt.Sprint("operator ", n)
	o := &operator{w, name, w.dice(name)}
	var bag []order
	for _, order := range orders {
		for range order.often {
			bag = append(bag, order)
		}
	}
	for w.wait(o.dice.between(200*time.Millisecond, 12*time.Second)) {
		order := bag[o.dice.below(len(bag))]
		app := w.apps[o.dice.below(len(w.apps))]
		if w.without(order.name) {
			if w.calmNow() {
				break
			}
			continue
		}
		call := order.do(o, app)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := w.service.ask(ctx, name, order.name, call)
		cancel()
		w.happened("%s: %s of %s: %v", name, order.name, app.name, err)
		w.service.checkMoves()
	}
	if n == 0 {
		w.tidyUp(name)
	}
}

// tidyUp does what the cluster waits for an operator to do: it ends leases, which would keep moves waiting, accepts
// a store that went back, once all nodes had the time to say what they have, and lets replicas take over what is lost.
func (w *world) tidyUp(name string) {
	o := &operator{w, name, w.dice(name)}
	accepted := "" // what would follow when it was last accepted: more than once is no more
	for since := time.Now(); w.wait(time.Second); {
		err := w.service.ask(context.Background(), name, "tidy", func(ctx context.Context, s *ctl.Service) error {
			r := s.Recovery()
			follows := strings.Join(r.Consequences, "; ")
			if !w.options.Without["accept"] && time.Since(since) > 45*time.Second && (r.Recovering || follows != accepted) {
				accepted = follows
				_ = o.accept(nil)(ctx, s)
			}
			for _, app := range w.apps {
				if w.intended(app.volume, func(i *intent) bool { return i.lost }) {
					_ = o.takeover(app)(ctx, s)
				}
				c, _ := s.Configuration()
				if _, known := c.Volumes[app.volume]; !known && w.intended(app.volume, func(i *intent) bool { return i.accepted }) && w.holds(app) {
					_ = o.deploy(app)(ctx, s) // it runs somewhere, and is not on record any more
				}
			}
			if c, _ := s.Configuration(); len(c.Leases) == 0 {
				return nil
			}
			return edit(func(c *cluster.Configuration) { clear(c.Leases) })(ctx, s)
		})
		if err != nil {
			w.happened("%s: tidy up: %v", name, err)
		}
	}
}

func (w *world) calmNow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

func (o *operator) node() cluster.NodeID { return o.world.hosts[o.dice.below(len(o.world.hosts))].id }

func edit(change func(*cluster.Configuration)) func(context.Context, *ctl.Service) error {
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.Edit(ctx, func(c *cluster.Configuration) error { change(c); return nil })
		return err
	}
}

// deploy places an application with its volume on a node, as `drover deploy` does.
func (o *operator) deploy(app *register) func(context.Context, *ctl.Service) error {
	node := o.node()
	return edit(func(c *cluster.Configuration) {
		v, existed := c.Volumes[app.volume]
		v.ID, v.Name = app.volume, string(app.name)
		if !existed || o.dice.one(2) {
			v.Primary = node
		}
		c.Volumes[app.volume] = v
		c.Applications[app.name] = cluster.Application{Name: app.name, Command: []string{"register"}, Node: v.Primary,
			Ports:   []cluster.Port{{Internal: internalPort, External: app.port}},
			Restart: cluster.RestartPolicy{Name: cluster.RestartAlways}, Stop: app.stop,
			Volume: &cluster.Attachment{Volume: app.volume, Mountpoint: "/data"}}
	})
}

// undeploy takes the application away and leaves its volume.
func (o *operator) undeploy(app *register) func(context.Context, *ctl.Service) error {
	return edit(func(c *cluster.Configuration) { delete(c.Applications, app.name) })
}

// create makes the volume without its application.
func (o *operator) create(app *register) func(context.Context, *ctl.Service) error {
	node := o.node()
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.CreateVolume(ctx, wire.VolumeRequest{Name: string(app.name), Node: string(node)})
		return err
	}
}

// move asks for a move of the volume, whatever uses it.
func (o *operator) move(app *register) func(context.Context, *ctl.Service) error {
	node := o.node()
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.RequestMove(ctx, wire.MoveRequest{Volume: string(app.name), To: string(node)})
		return err
	}
}

// abort aborts a move that is open.
func (o *operator) abort(app *register) func(context.Context, *ctl.Service) error {
	return func(ctx context.Context, s *ctl.Service) error {
		for _, m := range s.Moves() {
			if m.Volume == app.volume && !m.Phase.Ended() {
				_, err := s.AbortMove(ctx, m.ID)
				return err
			}
		}
		return nil
	}
}

// lease keeps the volume where it is for a while.
func (o *operator) lease(app *register) func(context.Context, *ctl.Service) error {
	expires := o.world.service.clock.now().Add(o.dice.between(time.Second, 40*time.Second))
	return func(ctx context.Context, s *ctl.Service) error {
		owner := s.Status().Ownerships[app.volume].Owner
		if owner == "" {
			return nil
		}
		return edit(func(c *cluster.Configuration) {
			if c.Leases == nil {
				c.Leases = map[cluster.VolumeID]cluster.Lease{}
			}
			c.Leases[app.volume] = cluster.Lease{Volume: app.volume, Node: owner, Expires: expires}
		})(ctx, s)
	}
}

// release ends all leases of the volume.
func (o *operator) release(app *register) func(context.Context, *ctl.Service) error {
	return edit(func(c *cluster.Configuration) { delete(c.Leases, app.volume) })
}

// delete deletes the volume, which is refused while an application uses it.
func (o *operator) delete(app *register) func(context.Context, *ctl.Service) error {
	app.intend(func(i *intent) { i.deleted = true })
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.DeleteVolume(ctx, string(app.name))
		return err
	}
}

// undelete brings it back.
func (o *operator) undelete(app *register) func(context.Context, *ctl.Service) error {
	return func(ctx context.Context, s *ctl.Service) error {
		_, err := s.UndeleteVolume(ctx, string(app.volume))
		if errors.Is(err, cluster.ErrExists) { // another one has its name
			_, err = s.DeleteVolume(ctx, string(app.name))
		}
		if errors.Is(err, cluster.ErrRefused) && !o.world.intended(app.volume, func(i *intent) bool { return i.lost || i.accepted }) {
			o.world.breached("a deleted volume can be brought back: %v", err)
		}
		return err
	}
}
