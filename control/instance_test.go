package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// as returns a lab in which calls are by an instance.
func (l *lab) as(instance string) *lab {
	by := *l
	by.ctx = wire.WithInstance(l.ctx, instance)
	return &by
}

func (h *host) as(instance string) *host {
	by := *h
	by.lab = h.lab.as(instance)
	return &by
}

// polling asks for assignments as b in the background, as an agent does, and sends each answer.
func polling(h *host, since cluster.Revision) (<-chan error, context.CancelFunc) {
	ctx, cancel := context.WithCancel(h.lab.ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := h.lab.Assignment(ctx, h.id, since)
		ended <- err
	}()
	synctest.Wait()
	return ended, cancel
}

func TestTwoAgentsOfOneNodeAreBothRefused(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		first, second := l.host("a").as("first"), l.host("a").as("second")
		first.register()
		ended, cancel := polling(first, first.assignment().Revision)
		defer cancel()

		l.wantKind(second.lab.Register(second.lab.ctx, cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.a", Era: "1", Admitted: true}), cluster.ErrConflict)
		l.wantKind(arrived(t, ended), cluster.ErrConflict)
		for _, h := range []*host{first, second} {
			_, err := h.lab.Assignment(h.lab.ctx, "a", 0)
			l.wantKind(err, cluster.ErrConflict)
			l.wantKind(h.lab.Report(h.lab.ctx, cluster.NodeState{Node: "a", Era: "1"}), cluster.ErrConflict)
		}
		time.Sleep(time.Second)
		l.wantEvent("conflict", "two agents speak as node node-a", "10.0.0.a")
		if n := l.Nodes()[0]; n.Live || n.Node.Admitted || n.Refused == nil || n.Refused.WayOut == "" {
			t.Errorf("the node is %+v", n)
		}
		if s := l.Status(); s.Converged || len(s.Pending) == 0 {
			t.Errorf("the status says that all is well: %q", s.Pending)
		}
	})
}

func TestNothingIsCommittedByOrToANodeThatTwoSpeakAs(t *testing.T) {
	for _, node := range []cluster.NodeID{"a", "b"} {
		inLab(t, func(t *testing.T, l *lab) {
			l.runDatabase()
			l.host(node).as("first").register()
			m := l.bringBy(cluster.PhaseHold, map[cluster.NodeID]string{node: "first"})
			_, cancel := polling(l.host(node).as("first"), l.host(node).as("first").assignment().Revision)
			defer cancel()
			l.wantKind(l.as("second").Register(l.as("second").ctx, cluster.Node{ID: node, Name: "x", Address: "10.0.0." + string(node), Era: "1", Admitted: true}), cluster.ErrConflict)
			instance := map[bool]string{true: "first"}[node == "a"]
			l.wantKind(l.as(instance).commit(m), cluster.ErrUnavailable)
			_, err := l.Hold(l.as(instance).ctx, "a", m.ID, wire.AttemptRequest{Attempt: 1})
			if node == "a" {
				l.wantKind(err, cluster.ErrUnavailable)
			}
		})
	}
}

// TestASecondAgentIsRefusedWhileTheFirstIsInTouch, also at the same address and of the same boot, as a copy of a
// node's directory on its own host is. It was never the node and has begun nothing: the first is not disturbed.
func TestASecondAgentIsRefusedWhileTheFirstIsInTouch(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		first, second := l.host("a").as("first"), l.host("a").as("second")
		first.register()
		refused := func(when string) {
			t.Helper()
			l.wantKind(second.tryRegister(), cluster.ErrConflict)
			first.report()
			if n := l.Nodes()[0]; !n.Live || n.Refused == nil || n.Refused.Address != "10.0.0.a" || n.Refused.WayOut == "" {
				t.Errorf("%s: the node is %+v, refused is %+v", when, n, n.Refused)
			}
			if s := l.Status(); s.Nodes[0].Refused == nil {
				t.Errorf("%s: the status says nothing of it", when)
			}
		}
		ended, cancel := polling(first, first.assignment().Revision)
		refused("while the first asks for its assignment")
		select {
		case err := <-ended:
			t.Errorf("the first one is disturbed: %v", err)
		default:
		}
		l.wantEvent("conflict", "node node-a is in touch", "10.0.0.a")
		cancel()
		l.wantKind(arrived(t, ended), context.Canceled)

		first.assignment()
		refused("between two requests of the first")
		time.Sleep(wire.LivenessWindow + time.Second)
		second.register() // the first one has hung up
		if n := l.Nodes()[0]; n.Refused != nil {
			t.Errorf("the node itself is refused: %+v", n.Refused)
		}
	})
}

// TestACopyOnTheSameHostIsNotTheNode: it was not booted since, and may have an address of the loopback network.
func TestACopyOnTheSameHostIsNotTheNode(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		first, second := l.host("a").as("first"), l.host("a").as("second")
		was := cluster.Node{ID: "a", Name: "node-a", Address: "127.1.2.3", FormerAddress: "10.0.0.a", Era: "1"}
		l.ok(first.lab.Register(first.lab.ctx, was))
		clone := was
		clone.Address, clone.FormerAddress = "127.1.2.9", ""
		l.wantKind(second.lab.Register(second.lab.ctx, clone), cluster.ErrConflict)
		l.restart() // then it may come before the node itself
		l.wantKind(l.as("second").Register(l.as("second").ctx, clone), cluster.ErrConflict)
		if n := l.Nodes()[0]; n.Refused == nil || n.Refused.Address != "127.1.2.9" || !strings.Contains(n.Refused.WayOut, "--former-address 127.1.2.3") {
			t.Errorf("refused is %+v", n.Refused)
		}
		l.ok(l.as("first").Register(l.as("first").ctx, was))
	})
}

// bringBy is bring for nodes whose calls are by an instance.
func (l *lab) bringBy(phase cluster.Phase, instances map[cluster.NodeID]string) cluster.Move {
	l.t.Helper()
	source, target := l.as(instances["a"]), l.as(instances["b"])
	m, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "b"})
	l.ok(err)
	l.ok(target.ready(m))
	l.ok(source.precopy(m))
	l.ok(source.hold(m))
	return l.wantPhase(phase)
}

func TestAnAgentThatStartsAgainIsTheNodeAtOnce(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		first, second := l.host("a").as("first"), l.host("a").as("second")
		first.register()
		ended, cancel := polling(first, first.assignment().Revision)
		cancel() // its process ended, and with it the connection
		l.wantKind(arrived(t, ended), context.Canceled)
		second.register()
		second.report()
		second.assignment()

		// What the first one said comes late.
		l.wantKind(first.lab.Report(first.lab.ctx, cluster.NodeState{Node: "a", Era: "1"}), cluster.ErrConflict)
		ended, cancel = polling(second, second.assignment().Revision)
		defer cancel()
		l.wantKind(first.tryRegister(), cluster.ErrConflict)
		second.report()
		second.assignment()
		if !l.Nodes()[0].Live {
			t.Error("a late message of a process that has ended puts the node out of touch")
		}

		// It was cut off rather than ended: both are there now.
		l.wantKind(first.tryRegister(), cluster.ErrConflict)
		l.wantKind(arrived(t, ended), cluster.ErrConflict)
		_, err := first.lab.Assignment(first.lab.ctx, "a", 0)
		l.wantKind(err, cluster.ErrConflict)
		_, err = second.lab.Assignment(second.lab.ctx, "a", 0)
		l.wantKind(err, cluster.ErrConflict)
		time.Sleep(wire.LivenessWindow + 2*time.Second)
		second.assignment() // the first one is silent
	})
}

// tryRegister is register of a host that may be refused.
func (h *host) tryRegister() error {
	return h.lab.Register(h.lab.ctx, cluster.Node{ID: h.id, Name: "node-" + string(h.id), Address: "10.0.0." + string(h.id), Era: h.state.Era})
}

// TestACopyOfAHostIsNotTheNode, whether or not the host is there: it has the same certificate and disk, but
// was booted at another address. The node itself may be given another one, by who says so.
func TestACopyOfAHostIsNotTheNode(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		first, second := l.host("a").as("first"), l.host("a").as("second")
		first.register()
		ended, cancel := polling(first, first.assignment().Revision)
		clone := cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.9", Era: "2"}
		l.wantKind(second.lab.Register(second.lab.ctx, clone), cluster.ErrConflict)
		first.report()
		first.assignment() // it is not disturbed
		l.wantEvent("conflict", "node node-a is at 10.0.0.a", "10.0.0.9")
		if !l.Nodes()[0].Live {
			t.Error("the node is out of touch")
		}

		cancel()
		l.wantKind(arrived(t, ended), context.Canceled)
		time.Sleep(time.Hour)
		l.wantKind(second.lab.Register(second.lab.ctx, clone), cluster.ErrConflict)
		clone.FormerAddress = "10.0.0.a"
		l.ok(second.lab.Register(second.lab.ctx, clone))
		l.wantKind(first.tryRegister(), cluster.ErrConflict) // its era is another one, too
		if n := l.Nodes()[0]; n.Node.Address != "10.0.0.9" {
			t.Errorf("the node is %+v", n.Node)
		}
	})
}

func TestWhoeverGoesOnSpeakingIsTheNode(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		first, second := l.host("a").as("first"), l.host("a").as("second")
		first.register()
		_, cancel := polling(first, first.assignment().Revision)
		defer cancel()
		register := func() error {
			return second.lab.Register(second.lab.ctx, cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.a", Era: "1", Admitted: true})
		}
		l.wantKind(register(), cluster.ErrConflict)
		for range 4 {
			time.Sleep(5 * time.Second)
			_ = register()
		}
		l.ok(register())
		second.report()
		second.assignment()
	})
}

// TestARefusedCopyDoesNotTakeTheNodesPlace when that pauses for a moment: its connection is cut, or its host is busy.
func TestARefusedCopyDoesNotTakeTheNodesPlace(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		first, second := l.host("a").as("first"), l.host("a").as("second")
		first.register()
		ended, cut := polling(first, first.assignment().Revision)
		l.wantKind(second.tryRegister(), cluster.ErrConflict)
		cut()
		<-ended
		for range 5 {
			time.Sleep(time.Second)
			l.wantKind(second.tryRegister(), cluster.ErrConflict)
		}
		first.report()
		time.Sleep(10 * time.Second)
		l.wantKind(second.tryRegister(), cluster.ErrConflict)
		time.Sleep(10 * time.Second) // the node is silent
		l.ok(second.tryRegister())
	})
}

// TestAnAgentThatEndedBetweenTwoRequestsIsWaitedForBriefly: the next one that asks is the node as soon as the former
// one should have asked again, though it was refused at first.
func TestAnAgentThatEndedBetweenTwoRequestsIsWaitedForBriefly(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		first, second := l.host("a").as("first"), l.host("a").as("second")
		first.register()
		first.report()
		first.assignment()
		for range 4 {
			l.wantKind(second.tryRegister(), cluster.ErrConflict)
			time.Sleep(time.Second)
		}
		time.Sleep(nextPoll - 3*time.Second)
		l.ok(second.tryRegister())
	})
}

// TestCopiesThatAskAgainAndAgainAreToldOfNowAndThen: each time it is a write to the store, and an event.
func TestCopiesThatAskAgainAndAgainAreToldOfNowAndThen(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		first := l.host("a").as("first")
		first.register()
		_, end := polling(first, first.assignment().Revision)
		defer end()
		before := l.model.Revision
		for range 300 {
			for _, by := range []string{"second", "third"} {
				l.wantKind(l.host("a").as(by).tryRegister(), cluster.ErrConflict)
			}
			time.Sleep(2 * time.Second)
		}
		l.wantEvent("conflict", "another agent")
		if writes := l.model.Revision - before; writes > 3 {
			t.Errorf("%d writes to the store", writes)
		}
	})
}

// TestWhoWasTheNodeIsItAfterARestartOfTheService, whoever comes first; who did not come in time is not waited for.
func TestWhoWasTheNodeIsItAfterARestartOfTheService(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.host("a").as("first").register()
		l.restart()
		first, copied := l.host("a").as("first"), l.host("a").as("copy")
		l.wantKind(copied.tryRegister(), cluster.ErrAwaited)
		_, err := copied.lab.Assignment(copied.lab.ctx, "a", 0)
		l.wantKind(err, cluster.ErrUnavailable)
		if n := l.Nodes()[0]; n.Refused != nil {
			t.Errorf("one that may be the node is said to be refused: %+v", n.Refused)
		}
		first.register()
		first.report()
		if s := first.assignment(); len(s.Volumes) != 1 {
			t.Errorf("the node itself is told %+v", s)
		}

		l.restart()
		copied = l.host("a").as("second")
		l.wantKind(copied.tryRegister(), cluster.ErrAwaited)
		time.Sleep(wire.LivenessWindow + time.Second)
		l.ok(copied.tryRegister())
		l.restart()
		l.wantKind(l.host("a").as("first").tryRegister(), cluster.ErrAwaited)
		l.ok(l.host("a").as("second").tryRegister())
	})
}

// TestAnAgentThatIsStartedAgainIsNotKeptWaiting: it is in the directory of the former one, of the same boot.
func TestAnAgentThatIsStartedAgainIsNotKeptWaiting(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		n := l.host("a").node()
		n.Seat = "boot 1 directory 7"
		l.ok(l.Register(l.as("first").ctx, n))
		l.restart()
		moved := n
		moved.Seat = "boot 1 directory 8"
		l.wantKind(l.Register(l.as("copy").ctx, moved), cluster.ErrAwaited)
		l.ok(l.Register(l.as("second").ctx, n))
		if on, _ := l.model.Nodes.Get("a"); on.Seat != "" {
			t.Errorf("all nodes are told of %q", on.Seat)
		}

		l.restart()
		n.Seat, n.RoutesOnly = "", true
		l.ok(l.Register(l.as("third").ctx, n))
	})
}
