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

// loseA brings up db on a, with a replica on b, and site, and has a fall silent for ten minutes.
func (l *lab) loseA() {
	l.t.Helper()
	l.configure(database("a"))
	l.configure(site("a"))
	l.host("a").act()
	l.replicaOnB()
	l.host("b").wake()
	l.host("c").wake()
	time.Sleep(10 * time.Minute)
}

// othersAct has b and c do all that is asked of them.
func (l *lab) othersAct() {
	l.t.Helper()
	for _, id := range []cluster.NodeID{"b", "c", "b"} {
		l.host(id).act()
	}
}

func (l *lab) remove(node string, r wire.RemovalRequest) (wire.Removal, error) {
	r.Confirmed = true
	return l.RemoveNode(wire.WithCaller(l.ctx, wire.Caller{User: "me"}), node, r)
}

// wantSaid checks that one of the sentences says all of words.
func (l *lab) wantSaid(sentences []string, words ...string) {
	l.t.Helper()
	for _, s := range sentences {
		if containsAll(s, words) {
			return
		}
	}
	l.t.Errorf("nothing says %q in:\n%s", words, strings.Join(sentences, "\n"))
}

// TestANodeThatMayRunIsNotRemoved: whoever lives may write.
func TestANodeThatMayRunIsNotRemoved(t *testing.T) {
	for _, row := range []struct {
		rule  string
		setup func(l *lab)
		kind  error
		words []string
	}{
		{"it is in touch", func(l *lab) { l.host("a").report() }, cluster.ErrRefused, []string{"node-a was heard of 0s ago", "drover move"}},
		{"it asks, and does not report", func(l *lab) {
			l.host("a").state.Every = 5 * time.Second
			l.host("a").report()
			time.Sleep(20 * time.Second)
			l.host("a").assignment()
		}, cluster.ErrRefused, []string{"asks for its assignment"}},
		{"its Docker plugin speaks", func(l *lab) { l.ok(l.Admitted("a")) }, cluster.ErrRefused, []string{"does not report, but its Docker plugin called 0s ago"}},
		{"another node hears it", func(l *lab) {
			l.host("b").state.Peers = map[cluster.NodeID]string{"a": "alive"}
			l.host("b").report()
		}, cluster.ErrRefused, []string{"node-b hears it"}},
		{"another node does not list it as missing", func(l *lab) {
			l.gossips("a")
			l.host("b").sees("c")
		}, cluster.ErrRefused, []string{"node-b hears it"}},
		{"one that has just come back says so, and has been told nothing yet", func(l *lab) {
			l.gossips("a")
			l.restart()
			time.Sleep(time.Minute)
			l.host("b").state.Missing = []cluster.NodeID{}
			l.host("b").report()
		}, cluster.ErrRefused, []string{"node-b hears it"}},
		{"the service has just started", func(l *lab) { l.restart() }, cluster.ErrUnavailable, []string{"may yet say that it is there"}},
		{"two agents speak as it", func(l *lab) {
			one, cancel := context.WithCancel(wire.WithInstance(l.ctx, "one"))
			l.ok(l.Report(one, cluster.NodeState{Node: "a", Era: "1"}))
			ended := make(chan error)
			go func() {
				told, err := l.Assignment(one, "a", 0)
				for err == nil {
					told, err = l.Assignment(one, "a", told.Revision)
				}
				ended <- err
			}()
			synctest.Wait()
			l.wantKind(l.Register(wire.WithInstance(l.ctx, "two"), cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.a", Era: "1", Admitted: true}), cluster.ErrConflict)
			cancel()
			<-ended
		}, cluster.ErrRefused, []string{"two agents"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.loseA()
				row.setup(l)
				for _, r := range []wire.RemovalRequest{{}, {Replacement: "node-b", Leave: true}} {
					_, err := l.remove("node-a", r)
					l.wantRefused(err, row.kind, row.words...)
				}
				l.wantOwner("a", 1)
			})
		})
	}
}

// gossips has a node take part in membership, and fall silent for ten minutes.
func (l *lab) gossips(id cluster.NodeID) {
	l.t.Helper()
	l.ok(l.Register(l.ctx, cluster.Node{ID: id, Name: "node-" + string(id), Address: "10.0.0." + string(id), Era: "1", GossipAddress: "10.0.0.1:7946",
		Backend: "dir", Runtime: "process"}))
	time.Sleep(10 * time.Minute)
}

// sees has a host report, with all that it is told by now, which of the others it misses.
func (h *host) sees(missing ...cluster.NodeID) {
	h.lab.t.Helper()
	h.state.Told, h.state.Missing = h.assignment().Revision, append([]cluster.NodeID{}, missing...)
	h.report()
}

// TestANodeThatNobodyHearsIsRemoved: who says nothing of it does not say that it is there.
func TestANodeThatNobodyHearsIsRemoved(t *testing.T) {
	for _, row := range []struct {
		rule  string
		setup func(l *lab)
	}{
		{"the others miss it", func(l *lab) {
			l.gossips("a")
			l.host("b").sees("a")
			l.host("c").sees("a", "b")
		}},
		{"the others take no part in membership", func(l *lab) { l.gossips("a"); l.host("b").report() }},
		{"it takes no part in it", func(l *lab) { l.host("b").sees() }},
		{"one of an earlier version sees that it is dead", func(l *lab) {
			l.gossips("a")
			l.host("b").state.Peers = map[cluster.NodeID]string{"a": "dead", "c": "alive"}
			l.host("b").report()
		}},
		{"who heard it has fallen silent", func(l *lab) {
			l.gossips("a")
			l.host("b").sees()
			l.host("b").sleep()
			time.Sleep(time.Minute)
		}},
		{"others looked before they were told of it", func(l *lab) {
			l.host("b").sees()
			_, err := l.remove("node-a", wire.RemovalRequest{})
			l.ok(err)
			_, err = l.ReadmitNode(l.ctx, "node-a")
			l.ok(err)
			l.gossips("a")
		}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.loseA()
				row.setup(l)
				_, err := l.remove("node-a", wire.RemovalRequest{})
				l.ok(err)
			})
		})
	}
}

// TestAHeartbeatSaysUntilWhenAReportWasRight, of nodes too that joined after it.
func TestAHeartbeatSaysUntilWhenAReportWasRight(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		b := l.host("b")
		b.state.Sequence = 1
		b.sees()
		late := cluster.Node{ID: "late", Name: "late", Address: "10.0.0.9", Era: "1", GossipAddress: "10.0.0.9:7946"}
		l.ok(l.Register(l.ctx, late))
		told := b.assignment().Revision
		time.Sleep(time.Minute)
		hears := func(why string, want bool) {
			t.Helper()
			b.assignment() // it is in touch
			_, err := l.RemoveNode(l.ctx, "late", wire.RemovalRequest{})
			if refused := err != nil; refused != want {
				t.Errorf("%s: %v", why, err)
			}
		}
		hears("it has not looked since", false)
		l.ok(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 1}))
		hears("an agent that does not say", false)
		l.ok(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 1, Told: told}))
		hears("it has looked, and does not miss it", true)
		b.state.Sequence = 2
		b.sees("late")
		hears("it misses it", false)
	})
}

// TestARemovalSaysWhatBecomesOfWhatTheNodeHas, before it is done and then.
func TestARemovalSaysWhatBecomesOfWhatTheNodeHas(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.loseA()
		l.configure(func(c *cluster.Configuration) {
			c.Leases = map[cluster.VolumeID]cluster.Lease{dbVolume: {Volume: dbVolume, Node: "a"}}
		})
		said := func(r wire.Removal) {
			t.Helper()
			l.wantSaid(r.Consequences, "volume db has no owner that is there", "application db is down", "node-b, 1h10m0s old", "drover volume takeover db NODE", "drover node readmit node-a")
			l.wantSaid(r.Consequences, "application site is down", "drover move site NODE")
			l.wantSaid(r.Consequences, "the lease on volume db ends")
			l.wantSaid(r.Consequences, "snapshot mine of volume db, which a user keeps, is nowhere else")
			if strings.Contains(strings.Join(r.Consequences, "\n"), "snapshot last") {
				t.Error("node-b has the other one")
			}
		}
		for _, name := range []cluster.SnapshotName{"mine", "last"} {
			l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: name}))
		}
		before := l.Status()
		shown, err := l.RemoveNode(l.ctx, "node-a", wire.RemovalRequest{})
		l.ok(err)
		said(shown)
		if after := l.Status(); shown.Done || after.Revision != before.Revision || len(after.Nodes) != 3 {
			t.Errorf("what was only asked was done: %+v", after)
		}
		done, err := l.remove("node-a", wire.RemovalRequest{})
		l.ok(err)
		said(done)
		l.wantEvent("removed", "node node-a was removed by user me")
		status := l.Status()
		if !done.Done || len(status.Nodes) != 2 || len(status.Configuration.Leases) != 0 {
			t.Errorf("it was not done: %+v", status)
		}
		l.wantOwner("a", 1) // nothing is made in its place
		l.wantSaid(status.Pending, "db: runs nowhere", "node-a, which was removed at", "by user me")
		l.wantSaid(status.Pending, "volume db: has no owner that is there", "takeover db NODE")
		l.wantSaid(status.Pending, "site: runs nowhere", "drover move site NODE")
		for _, port := range []int{5432, 8080} {
			if r := l.route(port); r.Mode != cluster.Hold {
				t.Errorf("clients are led to where nothing is: %+v", r)
			}
		}
		// What else there is can be deployed, and what is down can be mended.
		l.configure(func(c *cluster.Configuration) {
			c.Applications["job"] = cluster.Application{Name: "job", Image: "job", Node: "c"}
		})
		_, err = l.RequestMove(l.ctx, wire.MoveRequest{Application: "site", To: "c"})
		l.ok(err)
		_, err = l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "b"})
		l.wantRefused(err, cluster.ErrConflict, "node-a has lost volume db: it was removed", "takeover db NODE")
		l.ok(l.takeOver("node-b"))
		l.wantOwner("b", 2)
		l.wantWish("b")
		l.wantEvent("taken over", "because node-a was removed", "written in the 1h10m0s since is lost")
		l.othersAct()
		if s := l.Status(); !s.Converged {
			t.Errorf("still pending: %q", s.Pending)
		}
	})
}

// TestARemovedNodeIsNotLetInByItself, over restarts of the service; once an operator says so, it owns what
// nobody has taken over.
func TestARemovedNodeIsNotLetInByItself(t *testing.T) {
	for _, taken := range []bool{false, true} {
		inLab(t, func(t *testing.T, l *lab) {
			l.loseA()
			_, err := l.remove("node-a", wire.RemovalRequest{})
			l.ok(err)
			if taken {
				l.ok(l.takeOver("node-b"))
			}
			if taken {
				l.restart()
			}
			a := l.host("a")
			_, asked := l.Assignment(l.ctx, "a", 0)
			for _, err := range []error{
				l.Register(l.ctx, cluster.Node{ID: "a", Name: "node-a", Era: "1"}), asked, l.Admitted("a"),
				l.Report(l.ctx, a.state), l.Record(l.ctx, cluster.Event{Node: "a", Kind: "k", Message: "m"}),
			} {
				l.wantRefused(err, cluster.ErrRemoved, "node-a was removed at", "by user me", "drover node readmit node-a")
			}
			if removed := l.RemovedNodes(); len(removed) != 1 || removed[0].Name != "node-a" || removed[0].By != "user me" {
				t.Errorf("the removed nodes are %+v", removed)
			}
			_, err = l.ReadmitNode(l.ctx, "node-b")
			l.wantKind(err, cluster.ErrNotFound)
			_, err = l.ReadmitNode(l.ctx, "node-a")
			l.ok(err)
			a.register()
			a.report()
			told := a.assignment()
			if owns := len(told.Volumes) == 1; owns == taken || taken != (len(told.Owners) == 1) {
				t.Errorf("taken over: %t; it is told %+v", taken, told)
			}
			if len(l.RemovedNodes()) != 0 || l.Recovery().Recovering {
				t.Errorf("removed are %+v, the store: %+v", l.RemovedNodes(), l.Recovery())
			}
		})
	}
}

// TestAReplacementGoesOnWithWhatItCan, and says of the rest that it is lost before it is.
func TestAReplacementGoesOnWithWhatItCan(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(func(c *cluster.Configuration) {
			c.Volumes[logVolume] = cluster.Volume{ID: logVolume, Name: "log", Primary: "a"}
		})
		l.loseA()
		for _, row := range []struct {
			to    string
			kind  error
			words []string
		}{
			{"node-a", cluster.ErrInvalid, []string{"its own place"}},
			{"node-x", cluster.ErrNotFound, nil},
			{"node-b", cluster.ErrRefused, []string{"node-b cannot take over volume log", "--leave"}},
			{"node-c", cluster.ErrRefused, []string{"node-c cannot take over volume db, volume log"}},
		} {
			_, err := l.remove("node-a", wire.RemovalRequest{Replacement: row.to})
			l.wantRefused(err, row.kind, row.words...)
		}
		shown, err := l.RemoveNode(l.ctx, "node-a", wire.RemovalRequest{Replacement: "node-b"})
		l.ok(err)
		l.wantSaid(shown.Lost, "volume log")
		l.wantOwner("a", 1)
		done, err := l.remove("node-a", wire.RemovalRequest{Replacement: "node-b", Leave: true})
		l.ok(err)
		l.wantSaid(done.Consequences, "node-b owns volume db from epoch 2 on", "written in the 1h10m0s since is lost")
		l.wantSaid(done.Consequences, "volume log: node-b cannot take it over", "holds no replica")
		l.wantSaid(done.Consequences, "volume log has no owner that is there", "no other node has said that it has a replica")
		l.wantSaid(done.Consequences, "application site is placed on node-b")
		l.wantOwner("b", 2)
		l.wantWish("b")
		l.wantEvent("removed", "node-b takes its place")
		l.host("b").act()
		l.wantSaid(l.Status().Pending, "volume log: has no owner that is there")
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "b:5432", Epoch: 2})
		l.wantRoute(cluster.Route{External: 8080, Application: "site", Mode: cluster.Forward, Endpoint: "b:80"})
		// What is given up can be deleted, and is forgotten like all that is.
		_, err = l.DeleteVolume(l.ctx, "log")
		l.ok(err)
		time.Sleep(8 * 24 * time.Hour)
		_, err = l.Volume(string(logVolume))
		l.wantKind(err, cluster.ErrNotFound)
	})
}

// TestAReplacementThatIsBehindAnotherReplicaIsNone: the rule of takeovers holds.
func TestAReplacementThatIsBehindAnotherReplicaIsNone(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.loseA()
		c := l.host("c")
		c.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Head: "h",
			Snapshots: []cluster.Snapshot{{Name: "newer", GUID: "h", Created: time.Now().Add(-time.Minute)}}}}
		c.report()
		shown, err := l.RemoveNode(l.ctx, "node-a", wire.RemovalRequest{Replacement: "node-b"})
		l.ok(err)
		l.wantSaid(shown.Consequences, "node-c has one that is newer")
		l.wantSaid(shown.Consequences, "node-c, 1m0s old; node-b, 1h10m0s old")
		_, err = l.remove("node-a", wire.RemovalRequest{Replacement: "node-c"})
		l.ok(err)
		l.wantOwner("c", 2)
	})
}

// TestAMoveEndsWithTheNodeThatIsRemoved, whichever end of it that is.
func TestAMoveEndsWithTheNodeThatIsRemoved(t *testing.T) {
	for _, row := range []struct {
		rule   string
		phase  cluster.Phase
		gone   string
		reason string
		owner  cluster.NodeID
		epoch  cluster.Epoch
	}{
		{"its target, before the commit", cluster.PhasePrecopy, "b", "node-b was removed", "a", 1},
		{"its source, before the commit", cluster.PhasePrecopy, "a", "", "a", 1},
		{"its target, after the commit", cluster.PhasePromote, "b", "node-b was removed before it served", "b", 2},
		{"its source, after the commit", cluster.PhasePromote, "a", "", "b", 2},
	} {
		t.Run(row.rule, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				m := l.bring(row.phase)
				for id, h := range l.hosts {
					if id != cluster.NodeID(row.gone) {
						h.wake()
					}
				}
				time.Sleep(16 * time.Second)
				_, err := l.remove("node-"+row.gone, wire.RemovalRequest{})
				l.ok(err)
				ended, _, err := l.Move(l.ctx, m.ID, 0)
				l.ok(err)
				if goesOn := row.gone == "a" && row.phase == cluster.PhasePromote; goesOn != !ended.Phase.Ended() || !strings.Contains(ended.Reason, row.reason) {
					t.Errorf("the move is in phase %s: %s", ended.Phase, ended.Reason)
				}
				l.wantOwner(row.owner, row.epoch)
				if row.gone == "b" && row.phase == cluster.PhasePrecopy {
					l.wantWish("a")
				}
			})
		})
	}
}

// TestNobodyWaitsForANodeThatIsGone: the status says which nodes that are, since when, and what waits.
func TestNobodyWaitsForANodeThatIsGone(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(database("a"))
		l.configure(site("a"))
		l.host("a").act()
		l.host("b").wake()
		l.host("c").wake()
		since := time.Now()
		time.Sleep(40 * time.Second)
		if s := l.Status(); s.Converged || len(s.Gone) != 0 {
			t.Errorf("after 40 s: %+v", s.Gone)
		}
		time.Sleep(30 * time.Second)
		l.othersAct()
		s := l.Status()
		if len(s.Gone) != 1 || s.Gone[0].Name != "node-a" || s.Gone[0].Removed || s.Gone[0].Since.Sub(since) > time.Second || len(s.Gone[0].Waits) != len(s.Pending) {
			t.Errorf("after 70 s %+v is gone, %q is pending", s.Gone, s.Pending)
		}
		_, err := l.remove("node-a", wire.RemovalRequest{})
		l.ok(err)
		l.othersAct()
		s = l.Status()
		if len(s.Gone) != 1 || s.Gone[0].Name != "node-a" || !s.Gone[0].Removed || len(s.Gone[0].Waits) != len(s.Pending) {
			t.Errorf("after its removal %+v is gone, %q is pending", s.Gone, s.Pending)
		}
	})
}

// TestADeletionSaysWhoAndWhen: as an event, and to whoever looks for the volume.
func TestADeletionSaysWhoAndWhen(t *testing.T) {
	for _, row := range []struct {
		by   wire.Caller
		want string
	}{
		{wire.Caller{User: "me"}, " by user me"},
		{wire.Caller{Node: "b"}, " by Docker on node-b"},
		{wire.Caller{}, ""},
	} {
		inLab(t, func(t *testing.T, l *lab) {
			l.configure(func(c *cluster.Configuration) {
				c.Volumes[dbVolume] = cluster.Volume{ID: dbVolume, Name: "db", Primary: "a"}
			})
			l.host("a").act()
			_, err := l.DeleteVolume(wire.WithCaller(l.ctx, row.by), "db")
			l.ok(err)
			at := time.Now().UTC().Format(time.DateTime)
			l.wantEvent("deleted", "volume db was deleted"+row.want)
			time.Sleep(time.Hour)
			_, err = l.Volume("db")
			l.wantRefused(err, cluster.ErrNotFound, "it was deleted at "+at+" UTC"+row.want, "drover volume undelete db")
			_, err = l.UndeleteVolume(wire.WithCaller(l.ctx, row.by), "db")
			l.ok(err)
			l.wantEvent("undeleted", "volume db was brought back"+row.want)
			if v, _ := l.Volume("db"); v.Volume.DeletedBy != "" || !v.Volume.DeletedAt.IsZero() {
				t.Errorf("it is back, and %+v", v.Volume)
			}
		})
	}
}
