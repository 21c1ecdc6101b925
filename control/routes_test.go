package control

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

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
		l.host("c").obey(l.host("a").assignment())
		l.host("c").state.Applications = []cluster.Instance{{Name: "db", Running: true, Healthy: true, Epoch: 2, Endpoints: map[int]string{5432: "c:666"}}}
		l.host("c").report()
		l.wantRoute(held)
		b := l.host("b")
		b.obey(b.assignment())
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
