package control

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// blind reports that the host cannot see its volumes.
func (h *host) blind() {
	h.lab.t.Helper()
	h.lab.ok(h.lab.Report(h.lab.ctx, cluster.NodeState{Node: h.id, Era: h.state.Era, Seen: h.state.Seen,
		Applications: h.state.Applications, VolumesUnknown: "list the datasets: no such pool"}))
}

// Unknown is never none: what a node said of its volumes counts for as long as it says nothing else.
func TestANodeThatCannotSeeItsVolumesStillHoldsThem(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		b := l.host("b")
		b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1}}
		b.report()
		b.act()
		b.blind()
		if v, _ := l.Volume("db"); len(v.Copies) != 2 {
			t.Errorf("the copies are %+v, want those of a and b", v.Copies)
		}
		if s := b.assignment(); len(s.Owners) != 1 {
			t.Errorf("b is told of the owners %+v", s.Owners)
		}
		l.wantPending("node node-b: cannot see its volumes: list the datasets: no such pool")
		l.host("a").blind()
		l.wantPending("node node-a: cannot see its volumes: list the datasets: no such pool")
		steps, err := l.Preview(l.ctx, func() cluster.Configuration { c, _ := l.Configuration(); return c }())
		l.ok(err)
		if len(steps) != 0 {
			t.Errorf("the preview plans %+v for what nobody sees", steps)
		}

		b.state.Volumes = nil
		b.report()
		if v, _ := l.Volume("db"); len(v.Copies) != 1 {
			t.Errorf("b sees again, and that it has none: %+v", v.Copies)
		}
	})
}

func TestNothingIsCreatedOverACopyThatIsOutOfSight(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		c := l.host("c")
		c.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 4}}
		c.report()
		l.restart()
		for _, id := range []cluster.NodeID{"a", "b", "c"} {
			l.host(id).register()
		}
		l.host("a").report()
		l.host("b").report()
		unowned := func() {
			t.Helper()
			for range 6 { // nobody is waited for that is gone, so c says again and again that it is not
				c.blind()
				time.Sleep(5 * time.Second)
			}
			if v, _ := l.Volume("db"); v.Ownership.Owner != "" {
				t.Fatalf("it has the owner %+v, and c may hold a copy", v.Ownership)
			}
		}
		l.configure(database("a"))
		unowned()
		l.wantPending("volume db: waits for all nodes to say what they hold before it gets an owner")

		c.state.Volumes = nil
		c.report()
		time.Sleep(time.Second)
		l.wantOwner("a", 1)

		// What c said in this life of the service stands until it is booted.
		c.blind()
		l.configure(func(c *cluster.Configuration) {
			c.Volumes[logVolume] = cluster.Volume{ID: logVolume, Name: "log", Primary: "a"}
		})
		if v, _ := l.Volume("log"); v.Ownership.Owner != "a" {
			t.Errorf("a node that said what it holds keeps a new volume from %+v", v)
		}
	})
}

func TestANewNodeThatCannotSeeItsVolumesIsWaitedFor(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		d := &host{lab: l, id: "d", state: cluster.NodeState{Node: "d", Era: "1"}}
		d.register()
		d.blind()
		l.configure(database("a"))
		if v, _ := l.Volume("db"); v.Ownership.Owner != "" {
			t.Errorf("it has the owner %+v, and d may hold a copy", v.Ownership)
		}
		d.report()
		time.Sleep(time.Second)
		l.wantOwner("a", 1)
	})
}
