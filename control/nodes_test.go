package control

import (
	"errors"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
)

func TestNodesAreShownWithWhatTheyLastSaid(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		time.Sleep(10 * time.Second)
		l.host("b").assignment()
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
		a.obey(a.assignment())
		broken := &brokenStore{Store: l.store, before: cluster.ErrUnavailable}
		l.Service.writing.Lock()
		l.Service.store = broken
		l.Service.writing.Unlock()
		l.wantKind(l.Report(l.ctx, a.state), cluster.ErrUnavailable)
		broken.before = nil
		a.report() // says the same
		if v, _ := l.Volume("db"); !v.Ownership.Created {
			t.Error("what the report says was forgotten")
		}
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1})
	})
}

func TestHeartbeatsWriteNothing(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		time.Sleep(time.Second)
		_, before := stored(t, l.store)
		for range 20 {
			l.host("a").report()
			l.host("a").assignment()
			time.Sleep(time.Second)
		}
		// b and c were lost meanwhile: two events, one write.
		if _, after := stored(t, l.store); after > before+1 {
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

func TestANodeThatPollsAndDoesNotReportIsOutOfTouch(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		b := l.host("b")
		b.state.Every = 5 * time.Second
		b.report()
		m := l.bring(cluster.PhaseHold)
		b.wake()
		defer b.sleep()
		for range 4 {
			time.Sleep(5 * time.Second)
			l.host("a").report()
		}
		if l.Nodes()[1].Live {
			t.Error("a node whose old poll lives counts as in touch")
		}
		l.wantKind(l.commit(m), cluster.ErrUnavailable)
		b.report()
		if !l.Nodes()[1].Live {
			t.Error("a node that reported just now is out of touch")
		}
		l.ok(l.commit(m))
	})
}

// TestNothingIsHeldForATargetThatIsSilent: a move to it could not be committed.
func TestNothingIsHeldForATargetThatIsSilent(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		b := l.host("b")
		b.state.Every = 5 * time.Second
		b.report()
		m := l.bring(cluster.PhasePrecopy)
		b.wake()
		defer b.sleep()
		for range 4 {
			time.Sleep(5 * time.Second)
			l.host("a").report()
		}
		l.wantKind(l.hold(m), cluster.ErrUnavailable)
		l.wantPhase(cluster.PhasePrecopy)
		b.report()
		l.ok(l.hold(m))
	})
}

// TestAHeartbeatSaysThatTheLastReportHolds, to a service that has that report.
func TestAHeartbeatSaysThatTheLastReportHolds(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		b := l.host("b")
		b.state.Every, b.state.Sequence = 5*time.Second, 3
		b.report()
		live := func(why string, want bool) {
			t.Helper()
			if time.Sleep(10 * time.Second); l.Nodes()[1].Live != want {
				t.Errorf("%s: live is %t, want %t", why, !want, want)
			}
		}
		live("after a report", true)
		l.ok(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 3}))
		live("after a heartbeat", true)
		l.ok(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 2})) // the answer to the third did not arrive
		live("after a heartbeat of an earlier report", true)
		l.wantKind(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 4}), cluster.ErrStale)
		live("after one of a report that is not known", false)
		l.wantKind(l.Heartbeat(l.ctx, "x", wire.Heartbeat{Sequence: 1}), cluster.ErrNotFound)

		l.restart()
		l.wantKind(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 3}), cluster.ErrUnavailable)
		b.register()
		l.wantKind(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 3}), cluster.ErrStale)
		b.report()
		l.ok(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 3}))
	})
}

func TestANodeIsNoOther(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.ok(l.Register(l.ctx, cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.1", FormerAddress: "10.0.0.a", Era: "1", TransferKey: "ssh-ed25519 A"}))
		mallory := cluster.Node{ID: "m", Name: "m", Address: "10.0.0.66", Era: "1", TransferKey: "ssh-ed25519 M"}
		l.ok(l.Register(l.ctx, mallory))
		for what, change := range map[string]func(*cluster.Node){
			"the key":          func(n *cluster.Node) { n.TransferKey = "ssh-ed25519 A" },
			"the name":         func(n *cluster.Node) { n.Name = "node-a" },
			"the id as a name": func(n *cluster.Node) { n.Name = "a" },
			"the address":      func(n *cluster.Node) { n.Address = "10.0.0.1" },
		} {
			n := mallory
			change(&n)
			if err := l.Register(l.ctx, n); !errors.Is(err, cluster.ErrConflict) {
				t.Errorf("%s of another node: %v", what, err)
			}
		}
		l.restart()
		n := mallory
		n.Name = "node-a"
		l.wantKind(l.Register(l.ctx, n), cluster.ErrConflict) // a may yet say that it is there
		time.Sleep(time.Minute)
		l.ok(l.Register(l.ctx, n)) // a host that replaces it
		n.TransferKey = "ssh-ed25519 A"
		l.wantKind(l.Register(l.ctx, n), cluster.ErrConflict)
		l.ok(l.Register(l.ctx, cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.1", Era: "1", TransferKey: "ssh-ed25519 A"})) // it was so first
	})
}

// TestAReportThatComesLateUndoesNothing: reports may overtake one another on their way.
func TestAReportThatComesLateUndoesNothing(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		a := l.host("a")
		late := a.state
		late.Sequence, late.FreeBytes = 1, 1
		newer := a.state
		newer.Sequence, newer.FreeBytes = 2, 2
		l.ok(l.Report(l.ctx, newer))
		l.ok(l.Report(l.ctx, late))
		if free := l.Nodes()[0].State.FreeBytes; free != 2 {
			t.Errorf("what counts is the report with %d", free)
		}
	})
}
