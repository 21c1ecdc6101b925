package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/store/mem"
)

func TestTheRevisionChangesWithTheContentOnly(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		if _, rev := l.Configuration(); rev != 0 {
			t.Errorf("nothing has been configured, and the revision is %d", rev)
		}
		l.runDatabase()
		c, rev := l.Configuration()
		doc, err := l.Configure(l.ctx, rev, c)
		l.ok(err)
		if doc.Changed || doc.Revision != rev || len(doc.Moves) != 0 {
			t.Errorf("writing what is there answered %+v, want revision %d unchanged", doc, rev)
		}
		l.host("a").report()
		l.ok(l.Register(l.ctx, cluster.Node{ID: "d", Name: "d"}))
		if _, now := l.Configuration(); now != rev {
			t.Errorf("nodes changed the revision from %d to %d", rev, now)
		}
		c.Volumes[dbVolume] = cluster.Volume{ID: dbVolume, Name: "data", Primary: "a"}
		doc, err = l.Configure(l.ctx, rev, c)
		l.ok(err)
		if !doc.Changed || doc.Revision <= rev || doc.Configuration.Volumes[dbVolume].Name != "data" {
			t.Errorf("a change answered %+v", doc)
		}
		_, err = l.Configure(l.ctx, rev, c)
		l.wantKind(err, cluster.ErrStale)
		_, err = l.Configure(l.ctx, 0, c)
		l.ok(err)
		l.restart()
		if again, now := l.Configuration(); now != doc.Revision || again.Volumes[dbVolume].Name != "data" {
			t.Errorf("after a restart it is %+v at revision %d, want %d", again, now, doc.Revision)
		}
	})
}

func TestADeployDropsNoVolume(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		doc, err := l.Configure(l.ctx, 0, cluster.Configuration{})
		l.ok(err)
		if len(doc.Configuration.Applications) != 0 || doc.Configuration.Volumes[dbVolume].Primary != "a" {
			t.Errorf("an empty configuration became %+v, want db's volume in it", doc.Configuration)
		}
		if s := l.host("a").assignment(); len(s.Applications) != 0 || len(s.Volumes) != 1 {
			t.Errorf("its owner is told %+v, want the volume without the application", s)
		}
	})
}

func TestWhatIsWrongIsListedWhole(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		before, rev := l.Configuration()
		_, err := l.Edit(l.ctx, func(c *cluster.Configuration) error {
			database("nowhere")(c)
			site("a")(c)
			app := c.Applications["site"]
			app.Image = ""
			c.Applications["site"] = app
			c.Leases[logVolume] = cluster.Lease{Volume: logVolume, Node: "x"}
			return nil
		})
		l.wantKind(err, cluster.ErrInvalid)
		var problems cluster.Problems
		if !errors.As(err, &problems) {
			t.Fatalf("the error is %v, want problems", err)
		}
		var paths []string
		for _, p := range problems {
			paths = append(paths, p.Path)
		}
		want := []string{"applications.site", "applications.db.node", "volumes." + string(dbVolume) + ".primary",
			"leases." + string(logVolume), "leases." + string(logVolume) + ".node"}
		if fmt.Sprint(paths) != fmt.Sprint(want) {
			t.Errorf("the problems are at %v, want %v", paths, want)
		}
		if !strings.Contains(err.Error(), "the nodes are: node-a, node-b, node-c") {
			t.Errorf("%v does not say which nodes there are", err)
		}
		if after, now := l.Configuration(); now != rev || len(after.Applications) != len(before.Applications) {
			t.Errorf("it was taken in: %+v at %d", after, now)
		}
	})
}

func TestEdit(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		_, err := l.Edit(l.ctx, func(*cluster.Configuration) error { return cluster.ErrExists })
		l.wantKind(err, cluster.ErrExists)

		var kept *cluster.Configuration
		_, err = l.Edit(l.ctx, func(c *cluster.Configuration) error {
			kept = c
			if nodes := l.Nodes(); len(nodes) != 3 { // it may read from the service
				t.Errorf("there are %d nodes", len(nodes))
			}
			database("a")(c)
			return nil
		})
		l.ok(err)
		kept.Applications["db"].Ports[0] = cluster.Port{}
		given, _ := l.Configuration()
		given.Applications["db"].Ports[0] = cluster.Port{}
		if c, _ := l.Configuration(); c.Applications["db"].Ports[0].External != 5432 {
			t.Error("the service shares memory with a caller")
		}
	})
}

// Two services on one store do not run in one cluster yet; but neither may ever undo what the
// other has written.
func TestAnEditOnAStoreThatOthersWriteIsMadeAnew(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		other, err := Open(l.ctx, l.store, Options{Log: quiet()})
		l.ok(err)
		_, err = other.Edit(l.ctx, func(c *cluster.Configuration) error { site("b")(c); return nil })
		l.ok(err)
		calls := 0
		doc, err := l.Edit(l.ctx, func(c *cluster.Configuration) error {
			calls++
			v := c.Volumes[dbVolume]
			v.MaximumSize = 5
			c.Volumes[dbVolume] = v
			return nil
		})
		l.ok(err)
		if _, ok := doc.Configuration.Applications["site"]; !ok || calls != 2 {
			t.Errorf("after %d calls the configuration is %+v, want the other's site in it", calls, doc.Configuration)
		}

		// The other has not noticed. Both begin a move of the same volume: one of them does.
		_, err = other.Edit(l.ctx, func(c *cluster.Configuration) error { database("b")(c); return nil })
		l.ok(err)
		l.configure(database("c"))
		open := 0
		m, err := records.Load(stored(t, l.store))
		l.ok(err)
		for _, move := range m.Moves.Each() {
			if !move.Phase.Ended() {
				open++
			}
		}
		if open != 1 {
			t.Errorf("%d moves are open", open)
		}
	})
}

func TestALargeConfiguration(t *testing.T) {
	s := mem.New()
	svc, err := Open(t.Context(), s, Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	c := cluster.Configuration{Applications: map[cluster.AppName]cluster.Application{}, Volumes: map[cluster.VolumeID]cluster.Volume{}}
	for i := range n {
		name := cluster.AppName(fmt.Sprintf("app%d", i))
		node := cluster.NodeID(fmt.Sprintf("n%d", i%50))
		if i < 50 {
			if err := svc.Register(t.Context(), cluster.Node{ID: node}); err != nil {
				t.Fatal(err)
			}
			if err := svc.Report(t.Context(), cluster.NodeState{Node: node}); err != nil {
				t.Fatal(err)
			}
		}
		id := cluster.VolumeIDForName(name)
		c.Volumes[id] = cluster.Volume{ID: id, Name: string(name), Primary: node}
		c.Applications[name] = cluster.Application{Name: name, Image: "x", Node: node, Volume: &cluster.Attachment{Volume: id, Mountpoint: "/x"},
			Ports: []cluster.Port{{Internal: 1, External: 10000 + i}}}
	}
	if _, err := svc.Configure(t.Context(), 0, c); err != nil {
		t.Fatal(err)
	}
	assignment, err := svc.Assignment(t.Context(), "n7", 0)
	if err != nil || len(assignment.Applications) != n/50 || len(assignment.Routes) != n {
		t.Errorf("a node has %d applications and %d routes, %v", len(assignment.Applications), len(assignment.Routes), err)
	}
}

func TestNothingIsPlacedOnANodeThatOnlyRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), mem.New(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Register(t.Context(), cluster.Node{ID: "gateway", Name: "gateway", RoutesOnly: true}); err != nil {
			t.Fatal(err)
		}
		_, err = s.Configure(t.Context(), 0, cluster.Configuration{Applications: map[cluster.AppName]cluster.Application{
			"web": {Name: "web", Command: []string{"web"}, Node: "gateway"}}})
		if !errors.Is(err, cluster.ErrInvalid) || !strings.Contains(err.Error(), "node gateway only routes") {
			t.Errorf("got %v, want ErrInvalid that names the node", err)
		}
	})
}

func TestPreviewSaysWhatWouldHappenAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), mem.New(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []cluster.NodeID{"a", "b"} {
			err := errors.Join(s.Register(t.Context(), cluster.Node{ID: id, Name: string(id)}),
				s.Report(t.Context(), cluster.NodeState{Node: id}))
			if err != nil {
				t.Fatal(err)
			}
		}
		v := cluster.VolumeIDForName("db")
		on := func(node cluster.NodeID) cluster.Configuration {
			return cluster.Configuration{
				Applications: map[cluster.AppName]cluster.Application{"db": {Name: "db", Command: []string{"db"}, Node: node,
					Volume: &cluster.Attachment{Volume: v, Mountpoint: "/data"}}},
				Volumes: map[cluster.VolumeID]cluster.Volume{v: {ID: v, Name: "db", Primary: node}}}
		}
		preview := func(next cluster.Configuration) string {
			steps, err := s.Preview(t.Context(), next)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, step := range steps {
				lines = append(lines, step.Node+": "+step.Kind+" "+step.Subject)
			}
			return strings.Join(lines, "\n")
		}
		want := "a: create volume volume db\na: open volume volume db\na: create application db\na: start application db"
		if got := preview(on("a")); got != want {
			t.Errorf("a first deployment:\n%s", got)
		}
		if c, _ := s.Configuration(); len(c.Applications) != 0 || len(s.Moves()) != 0 {
			t.Errorf("the preview changed the configuration: %v", c)
		}
		if _, err := s.Configure(t.Context(), 0, on("a")); err != nil {
			t.Fatal(err)
		}
		got := preview(on("b"))
		for _, step := range []string{"b: get ready db", "a: ship volume db", "all: hold db", "b: become owner volume db", "b: start db"} {
			if !strings.Contains(got, step) {
				t.Errorf("a move lacks %q:\n%s", step, got)
			}
		}
		if len(s.Moves()) != 0 {
			t.Error("the preview began a move")
		}
		if _, err := s.Preview(t.Context(), on("nowhere")); !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("an unknown node: %v, want ErrInvalid", err)
		}
	})
}
