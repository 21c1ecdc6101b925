package control

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store/mem"
)

func TestNodesAreShownWithWhatTheyLastSaid(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		time.Sleep(10 * time.Second)
		l.host("b").slice()
		time.Sleep(6 * time.Second)
		nodes := l.Nodes()
		if len(nodes) != 3 || nodes[0].Node.ID != "a" || nodes[2].Node.ID != "c" {
			t.Fatalf("the nodes are %+v", nodes)
		}
		if a := nodes[0]; a.Live || len(a.State.Volumes) != 1 || a.Heard.IsZero() {
			t.Errorf("a, silent for 16 s, is %+v", a)
		}
		if !nodes[1].Live {
			t.Error("b, heard of 6 s ago, is not live")
		}
		l.restart()
		if a := l.Nodes()[0]; a.Live || !a.Heard.IsZero() || a.State.Volumes != nil || a.Node.Name != "node-a" {
			t.Errorf("after a restart a is %+v, want its record and nothing else", a)
		}
	})
}

func TestANodeHasToRegister(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.wantKind(l.Report(l.ctx, cluster.NodeState{Node: "x"}), cluster.ErrNotFound)
		l.wantKind(l.Register(l.ctx, cluster.Node{Name: "x"}), cluster.ErrInvalid)
		l.wantKind(l.Register(l.ctx, cluster.Node{ID: "x", Name: "a b"}), cluster.ErrInvalid)
		l.ok(l.Register(l.ctx, cluster.Node{ID: "x", Name: "x", Address: "10.0.0.1"}))
		l.ok(l.Register(l.ctx, cluster.Node{ID: "x", Name: "x", Address: "10.0.0.1"}))
		l.wantEvent("registered", "node x at 10.0.0.1 joined")
	})
}

func TestABootForgetsWhatTheNodeSaid(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.host("a").state.Era = "2"
		l.wantKind(l.Report(l.ctx, cluster.NodeState{Node: "a", Era: "2"}), cluster.ErrStale)
		l.host("a").register()
		if a := l.Nodes()[0]; len(a.State.Applications) != 0 {
			t.Errorf("after a boot a still says %+v", a.State)
		}
		l.wantEvent("booted", "node-a")
		l.wantKind(l.Report(l.ctx, cluster.NodeState{Node: "a", Era: "1"}), cluster.ErrStale)
		// Unknown is not "not healthy": the route stays until the node says something.
		time.Sleep(time.Second)
		if r := l.route(5432); r.Mode != cluster.Forward {
			t.Errorf("the route is %+v", r)
		}
		l.host("a").state.Applications = nil
		l.host("a").report()
		if r := l.route(5432); r.Mode != cluster.Hold {
			t.Errorf("the route is %+v", r)
		}
	})
}

func TestALostNodeIsToldOfOnce(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.host("b").wake()
		l.host("c").wake()
		time.Sleep(time.Minute)
		l.wantEvent("lost", "node-a has not been heard of for 1", "stays on record")
		events, err := l.Events(l.ctx, 0)
		l.ok(err)
		lost := 0
		for _, e := range events {
			if e.Kind == "lost" {
				lost++
			}
		}
		if lost != 1 {
			t.Errorf("%d nodes were lost, want a alone, once", lost)
		}
	})
}

func TestAReportWhoseWriteFailedIsSettledByTheNext(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(database("a"))
		a := l.host("a")
		a.obey(a.slice())
		broken := &brokenStore{Store: l.store, before: cluster.ErrUnavailable}
		l.Service.writing.Lock()
		l.Service.store = broken
		l.Service.writing.Unlock()
		l.wantKind(l.Report(l.ctx, a.state), cluster.ErrUnavailable)
		broken.before = nil
		a.report() // says the same
		if v, _ := l.Volume("db"); !v.Ownership.Born {
			t.Error("what the report says was forgotten")
		}
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1})
	})
}

func TestHeartbeatsWriteNothing(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		time.Sleep(time.Second)
		_, before := records(t, l.store)
		for range 20 {
			l.host("a").report()
			l.host("a").slice()
			time.Sleep(time.Second)
		}
		// b and c were lost meanwhile: two events, one write.
		if _, after := records(t, l.store); after > before+1 {
			t.Errorf("twenty heartbeats made %d writes", after-before)
		}
	})
}

func TestOpenNeedsAStoreThatCanBeRead(t *testing.T) {
	s := mem.New()
	s.Close()
	if _, err := Open(t.Context(), s, Options{Log: quiet()}); err == nil {
		t.Error("a service was opened on a closed store")
	}
}
