package control

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

func TestRoutes(t *testing.T) {
	serves := func(endpoint string) sighting {
		return sighting{known: true, healthy: true, endpoints: map[int]string{5432: endpoint}}
	}
	ill, unknown := sighting{known: true}, sighting{}
	at := func(p *sighting, s sighting) *sighting { *p = s; return p }
	route := func(mode cluster.Mode, endpoint string, epoch cluster.Epoch, move cluster.MoveID) cluster.Route {
		return cluster.Route{External: 1, Application: "db", Mode: mode, Endpoint: endpoint, Epoch: epoch, Move: move}
	}
	move := func(phase cluster.Phase) *cluster.Move { return &cluster.Move{ID: "m", Phase: phase} }
	none := cluster.Route{}

	tests := []struct {
		name     string
		previous cluster.Route
		epoch    cluster.Epoch
		owner    sighting
		leaving  *sighting
		move     *cluster.Move
		want     cluster.Route
	}{
		{"nobody has served yet: hold", none, 1, ill, nil, nil, route(cluster.Hold, "", 1, "")},
		{"nobody is known to: hold", none, 1, unknown, nil, nil, route(cluster.Hold, "", 1, "")},
		{"the owner serves: forward", none, 1, serves("a:1"), nil, nil, route(cluster.Forward, "a:1", 1, "")},
		{"the owner serves elsewhere now", route(cluster.Forward, "a:1", 1, ""), 1, serves("a:2"), nil, nil, route(cluster.Forward, "a:2", 1, "")},
		{"the owner stopped serving: hold, and remember who did", route(cluster.Forward, "a:1", 1, ""), 1, ill, nil, nil, route(cluster.Hold, "a:1", 1, "")},
		{"it serves, but not this port: hold", route(cluster.Forward, "a:1", 1, ""), 1, serves(""), nil, nil, route(cluster.Hold, "a:1", 1, "")},
		{"the owner is not heard of: no route changes", route(cluster.Forward, "a:1", 1, ""), 1, unknown, nil, nil, route(cluster.Forward, "a:1", 1, "")},
		{"nor one that holds", route(cluster.Hold, "a:1", 1, ""), 1, unknown, nil, nil, route(cluster.Hold, "a:1", 1, "")},

		{"a move that ships holds nothing", route(cluster.Forward, "a:1", 1, ""), 1, serves("a:1"), nil, move(cluster.PhasePrecopy), route(cluster.Forward, "a:1", 1, "")},
		{"a move in its hold holds", route(cluster.Forward, "a:1", 1, ""), 1, serves("a:1"), nil, move(cluster.PhaseHold), route(cluster.Hold, "a:1", 1, "m")},
		{"and in its final phase", route(cluster.Hold, "a:1", 1, "m"), 1, ill, nil, move(cluster.PhaseFinal), route(cluster.Hold, "a:1", 1, "m")},
		{"and while the target is promoted", route(cluster.Hold, "a:1", 1, "m"), 2, ill, nil, move(cluster.PhasePromote), route(cluster.Hold, "a:1", 2, "m")},
		{"and while the target is not heard of", route(cluster.Hold, "a:1", 1, "m"), 2, unknown, nil, move(cluster.PhasePromote), route(cluster.Hold, "a:1", 2, "m")},
		{"until the target serves", route(cluster.Hold, "a:1", 2, "m"), 2, serves("b:1"), nil, move(cluster.PhasePromote), route(cluster.Forward, "b:1", 2, "")},

		{"a failed attempt lets go when the source serves again", route(cluster.Hold, "a:1", 1, "m"), 1, serves("a:3"), nil, move(cluster.PhaseWaiting), route(cluster.Forward, "a:3", 1, "")},
		{"until then it holds for the application, not for the move", route(cluster.Hold, "a:1", 1, "m"), 1, ill, nil, move(cluster.PhaseWaiting), route(cluster.Hold, "a:1", 1, "")},
		{"it lets go when the source is not heard of", route(cluster.Hold, "a:1", 1, "m"), 1, unknown, nil, move(cluster.PhaseWaiting), route(cluster.Forward, "a:1", 1, "")},
		{"and when the move has ended so", route(cluster.Hold, "a:1", 1, "m"), 1, unknown, nil, nil, route(cluster.Forward, "a:1", 1, "")},
		{"to nobody it can't let go", route(cluster.Hold, "", 1, "m"), 1, unknown, nil, nil, route(cluster.Hold, "", 1, "")},

		{"placed elsewhere: the old node serves until the new one does", route(cluster.Forward, "a:1", 0, ""), 0, ill, at(new(sighting), serves("a:1")), nil, route(cluster.Forward, "a:1", 0, "")},
		{"then the new one", route(cluster.Forward, "a:1", 0, ""), 0, serves("b:1"), at(new(sighting), serves("a:1")), nil, route(cluster.Forward, "b:1", 0, "")},
		{"neither serves: hold", route(cluster.Forward, "a:1", 0, ""), 0, ill, at(new(sighting), ill), nil, route(cluster.Hold, "a:1", 0, "")},
		{"the old node is not heard of: no route changes", route(cluster.Forward, "a:1", 0, ""), 0, ill, at(new(sighting), unknown), nil, route(cluster.Forward, "a:1", 0, "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := situation{
				app:   cluster.Application{Name: "db", Ports: []cluster.Port{{Internal: 5432, External: 1}}},
				epoch: tt.epoch, owner: tt.owner, leaving: tt.leaving, move: tt.move, previous: map[int]cluster.Route{},
			}
			if tt.previous != none {
				s.previous[1] = tt.previous
			}
			if got := s.routes(); len(got) != 1 || got[0] != tt.want {
				t.Errorf("got\n%+v, want\n%+v", got, tt.want)
			}
		})
	}
}

func TestRoutesFollowTheConfiguration(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(site(""))
		if r := l.route(8080); r != (cluster.Route{}) {
			t.Errorf("an application that is placed nowhere has the route %+v", r)
		}
		l.configure(site("a"))
		l.wantRoute(cluster.Route{External: 8080, Application: "site", Mode: cluster.Hold})
		l.host("a").act()
		l.wantRoute(cluster.Route{External: 8080, Application: "site", Mode: cluster.Forward, Endpoint: "a:80"})

		l.configure(func(c *cluster.Configuration) {
			app := c.Applications["site"]
			app.Ports[0].External = 9090
			c.Applications["site"] = app
		})
		l.wantRoute(cluster.Route{External: 9090, Application: "site", Mode: cluster.Forward, Endpoint: "a:80"})
		if r := l.route(8080); r != (cluster.Route{}) {
			t.Errorf("the port that it no longer has leads to %+v", r)
		}
		l.configure(func(c *cluster.Configuration) { delete(c.Applications, "site") })
		if routes := l.Status().Routes; len(routes) != 0 {
			t.Errorf("after the application the routes %+v are left", routes)
		}
	})
}

func TestAPortThatChangesHands(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		app := func(name cluster.AppName, external int) cluster.Application {
			return cluster.Application{Name: name, Image: "x", Node: "a", Ports: []cluster.Port{{Internal: external % 10, External: external}}}
		}
		l.configure(func(c *cluster.Configuration) {
			c.Applications["x"], c.Applications["y"] = app("x", 1001), app("y", 1002)
		})
		l.host("a").act()
		l.configure(func(c *cluster.Configuration) {
			c.Applications["x"], c.Applications["y"] = app("x", 1002), app("y", 1001)
		})
		l.host("a").act()
		l.wantRoute(cluster.Route{External: 1002, Application: "x", Mode: cluster.Forward, Endpoint: "a:2"})
		l.wantRoute(cluster.Route{External: 1001, Application: "y", Mode: cluster.Forward, Endpoint: "a:1"})
	})
}

func TestALateReportOfTheOldOwnerReopensNoRoute(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePromote)
		held := cluster.Route{External: 5432, Application: "db", Mode: cluster.Hold, Endpoint: "a:5432", Epoch: 2, Move: m.ID}
		l.host("a").state.FreeBytes = 1
		l.host("a").report() // still says that db is healthy there, at epoch 1
		l.wantRoute(held)
		l.host("c").obey(l.host("a").slice())
		l.host("c").state.Applications = []cluster.ApplicationState{{Name: "db", Running: true, Healthy: true, Epoch: 2, Endpoints: map[int]string{5432: "c:666"}}}
		l.host("c").report()
		l.wantRoute(held)
		b := l.host("b")
		b.obey(b.slice())
		b.state.Applications[0].Epoch = 1 // still the one of a time when b was the owner before
		b.report()
		l.wantRoute(held)
		b.act()
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "b:5432", Epoch: 2})
	})
}

func TestNoRouteClosesWhenNodesOrTheServiceGo(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		open := cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1}
		time.Sleep(time.Minute)
		l.wantRoute(open)
		l.restart()
		l.wantRoute(open)
		time.Sleep(time.Minute)
		l.wantRoute(open)
		l.host("b").register()
		l.wantRoute(open)
	})
}
