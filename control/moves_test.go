package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

func TestAMoveBeginsWithTheWriteThatAsksForIt(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		doc, err := l.Edit(l.ctx, func(c *cluster.Configuration) error { database("b")(c); return nil })
		l.ok(err)
		m := l.wantPhase(cluster.PhasePrepare)
		if len(doc.Moves) != 1 || doc.Moves[0] != m.ID {
			t.Errorf("the answer names the moves %v, want %s", doc.Moves, m.ID)
		}
		if m.From != "a" || m.To != "b" || m.Epoch != 1 || m.Attempt != 1 || m.Application != "db" || m.Volume != dbVolume {
			t.Errorf("the move is %+v", m)
		}
		l.wantOwner("a", 1)
		l.wantEvent("move requested", "db is to move from node-a to node-b")
	})
}

func TestRequestsThatCannotBe(t *testing.T) {
	tests := []struct {
		name    string
		request wire.MoveRequest
		want    error
		says    string
	}{
		{"an unknown application: those that there are are named", wire.MoveRequest{Application: "x", To: "b"}, cluster.ErrNotFound, "the applications are: db, site"},
		{"an unknown volume: those that there are are named", wire.MoveRequest{Volume: "x", To: "b"}, cluster.ErrNotFound, "the volumes are: db"},
		{"an unknown node: those that there are are named", wire.MoveRequest{Application: "db", To: "x"}, cluster.ErrNotFound, "node-a (10.0.0.a), node-b (10.0.0.b)"},
		{"an application that is there", wire.MoveRequest{Application: "db", To: "a"}, cluster.ErrConflict, "db is on node-a already"},
		{"a volume that is there", wire.MoveRequest{Volume: "db", To: "a"}, cluster.ErrConflict, "db is on node-a already"},
		{"an application without a volume that is there", wire.MoveRequest{Application: "site", To: "a"}, cluster.ErrConflict, "site is on node-a already"},
		{"nothing named", wire.MoveRequest{To: "b"}, cluster.ErrInvalid, "name an application or a volume"},
		{"a name that two nodes have", wire.MoveRequest{Application: "db", To: "twin"}, cluster.ErrConflict, "t1, t2"},
	}
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.configure(site("a"))
		for _, id := range []cluster.NodeID{"t1", "t2"} {
			l.ok(l.Register(l.ctx, cluster.Node{ID: id, Name: "twin"}))
			time.Sleep(wire.LivenessWindow + time.Second) // the second one replaces the first
		}
		for _, tt := range tests {
			_, err := l.RequestMove(l.ctx, tt.request)
			l.wantKind(err, tt.want)
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: the error is %q, want it to say %q", tt.name, err, tt.says)
			}
		}
		if moves := l.Moves(); len(moves) != 0 {
			t.Errorf("they made moves: %v", moves)
		}
	})
}

func TestANodeIsFoundByIDNameAndAddress(t *testing.T) {
	for _, to := range []string{"b", "node-b", "10.0.0.b"} {
		inLab(t, func(t *testing.T, l *lab) {
			l.runDatabase()
			m, err := l.RequestMove(l.ctx, wire.MoveRequest{Volume: "db", To: to})
			l.ok(err)
			if m.To != "b" {
				t.Errorf("a request for %q moves to %q", to, m.To)
			}
			l.wantWish("b") // the application follows its volume
		})
	}
}

func TestOneMoveOfAVolumeAtATime(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrecopy)
		same, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "b"})
		l.ok(err)
		if same.ID != m.ID {
			t.Errorf("the same request answered move %s, want %s", same.ID, m.ID)
		}
		_, err = l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "c"})
		l.wantKind(err, cluster.ErrConflict)
		if cluster.Hint(err) == "" {
			t.Error("the error has no hint")
		}
	})
}

func TestAbort(t *testing.T) {
	tests := []struct {
		name  string
		phase cluster.Phase
	}{{"while it prepares", cluster.PhasePrepare}, {"while it ships", cluster.PhasePrecopy}, {"while clients are held", cluster.PhaseHold}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				l.everyoneWakes()
				m := l.bring(tt.phase)
				aborting, err := l.AbortMove(l.ctx, m.ID)
				l.ok(err)
				if !aborting.Aborting || aborting.Phase != tt.phase {
					t.Errorf("the abort answered %+v: the source has to roll back first", aborting)
				}
				l.wantWish("a")
				l.ok(l.failed(m, false))
				ended := l.wantPhase(cluster.PhaseRolledBack)
				if ended.Reason != "aborted by a user" {
					t.Errorf("the move says %q", ended.Reason)
				}
				again, err := l.AbortMove(l.ctx, m.ID)
				l.ok(err)
				if again.Phase != cluster.PhaseRolledBack {
					t.Errorf("aborting again answered %+v", again)
				}
				l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1})
			})
		})
	}
	t.Run("a move that does not exist", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *lab) {
			_, err := l.AbortMove(l.ctx, "x")
			l.wantKind(err, cluster.ErrNotFound)
		})
	})
	t.Run("a source that never answers", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *lab) {
			l.runDatabase()
			m := l.bring(cluster.PhasePrecopy)
			_, err := l.AbortMove(l.ctx, m.ID)
			l.ok(err)
			time.Sleep(time.Minute)
			l.wantPhase(cluster.PhaseRolledBack)
		})
	})
	t.Run("between two attempts it ends at once", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *lab) {
			l.runDatabase()
			m := l.bring(cluster.PhasePrecopy)
			l.ok(l.failed(m, false))
			m, err := l.AbortMove(l.ctx, m.ID)
			l.ok(err)
			if m.Phase != cluster.PhaseRolledBack {
				t.Errorf("the abort answered %+v", m)
			}
		})
	})
}

func TestAnotherWishAbortsTheMoveAndIsServedNext(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrecopy)
		l.configure(database("c"))
		if m := l.wantPhase(cluster.PhasePrecopy); !m.Aborting || m.Reason != "the configuration wants it on node-c now" {
			t.Errorf("the move is %+v", m)
		}
		// Wishing it back to b meanwhile does not revive an aborted move.
		l.configure(database("b"))
		time.Sleep(time.Second)
		l.ok(l.failed(m, false))
		next := l.newest()
		if next.ID == m.ID || next.To != "b" || next.Aborting || next.Phase != cluster.PhasePrepare {
			t.Errorf("the next move is %+v", next)
		}
		l.wantWish("b")
	})
}

func TestMovingAnApplicationWithoutAVolume(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(site("a"))
		l.host("a").act()
		m, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "site", To: "b"})
		l.ok(err)
		if m.ID != "" || m.Phase != cluster.PhaseDone || m.From != "a" || m.To != "b" || len(l.Moves()) != 0 {
			t.Errorf("the answer is %+v, want one that is done, has no id and is not stored", m)
		}
		forward := cluster.Route{External: 8080, Application: "site", Mode: cluster.Forward, Endpoint: "a:80"}
		l.wantRoute(forward)

		// The old node goes on until the new one serves: over a restart of the service too.
		l.restart()
		for _, id := range []cluster.NodeID{"a", "b"} {
			if apps := l.host(id).assignment().Applications; len(apps) != 1 {
				t.Errorf("%s runs %v, want site", id, apps)
			}
		}
		l.host("a").act()
		l.wantRoute(forward)
		l.host("b").act()
		forward.Endpoint = "b:80"
		l.wantRoute(forward)
		if apps := l.host("a").assignment().Applications; len(apps) != 0 {
			t.Errorf("a still runs %v", apps)
		}
	})
}

func TestAnApplicationThatRunsNowhereIsStartedWhereItsVolumeIs(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.configure(func(c *cluster.Configuration) {
			app := c.Applications["db"]
			app.Node = ""
			c.Applications["db"] = app
		})
		if apps := l.host("a").assignment().Applications; len(apps) != 0 {
			t.Errorf("a runs %v, want nothing", apps)
		}
		m, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "a"})
		l.ok(err)
		if m.ID != "" || m.Phase != cluster.PhaseDone {
			t.Errorf("the answer is %+v, want one that is done and not stored", m)
		}
		l.wantWish("a")
	})
}

func TestMoveWaitsForAChange(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrepare)
		_, since, err := l.Move(l.ctx, m.ID, 0)
		l.ok(err)

		soon, cancel := context.WithTimeout(l.ctx, time.Second)
		defer cancel()
		_, _, err = l.Move(soon, m.ID, since)
		l.wantKind(err, context.DeadlineExceeded)

		changes := make(chan cluster.Move, 1)
		go func() {
			m, _, err := l.Move(l.ctx, m.ID, since)
			if err != nil {
				t.Errorf("move: %v", err)
			}
			changes <- m
		}()
		synctest.Wait()
		l.ok(l.ready(m))
		if got := arrived(t, changes); !got.Ready {
			t.Errorf("woken with %+v", got)
		}
		// Stats are a change too, though they are not stored.
		l.ok(l.precopy(m))
		_, since, err = l.Move(l.ctx, m.ID, 0)
		l.ok(err)
		l.ok(l.Progress(l.ctx, "a", m.ID, wire.ProgressReport{Attempt: 1, Stats: cluster.Stats{EstimatedBytes: 5}}))
		got, next, err := l.Move(l.ctx, m.ID, since)
		l.ok(err)
		if got.Stats.EstimatedBytes != 5 || next == since {
			t.Errorf("after progress the move is %+v at %d", got, next)
		}
		_, _, err = l.Move(l.ctx, "x", 0)
		l.wantKind(err, cluster.ErrNotFound)
	})
}

func TestOldMovesAreForgotten(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		_, err := l.update(l.ctx, func(w *rules.Write) error {
			for i := range rules.KeptMoves + 5 {
				w.Moves.Put(cluster.Move{ID: cluster.MoveID(cluster.NewUUID()), Phase: cluster.PhaseDone, Attempt: i,
					Ended: time.Now().Add(time.Duration(i) * time.Second)})
			}
			return nil
		})
		l.ok(err)
		time.Sleep(time.Second)
		moves := l.Moves()
		if len(moves) != rules.KeptMoves || moves[len(moves)-1].Attempt != 5 {
			t.Errorf("%d moves are kept, the oldest is number %d; want the newest %d", len(moves), moves[len(moves)-1].Attempt, rules.KeptMoves)
		}
	})
}

func TestAPromotionEndsWhenItsVolumeIsDeleted(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.bring(cluster.PhasePromote)
		l.configure(func(c *cluster.Configuration) {
			v := c.Volumes[dbVolume]
			v.Deleted = true
			c.Volumes[dbVolume] = v
			delete(c.Applications, "db")
		})
		time.Sleep(time.Second)
		if m := l.newest(); m.Phase != cluster.PhaseDone || m.Reason == "" {
			t.Errorf("the move of a volume that is deleted is in phase %q (%s)", m.Phase, m.Reason)
		}
		l.wantEvent("moved", "deleted")
		_, err := l.UndeleteVolume(l.ctx, "db")
		l.ok(err)
	})
}

// TestAgentsThatDoNotUnderstandEachOther: the move is over at once, and says which one to upgrade.
func TestAgentsThatDoNotUnderstandEachOther(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.ok(l.Register(l.ctx, cluster.Node{ID: "b", Name: "node-b", Address: "10.0.0.b", Era: "1", Streams: 2, Version: "v2"}))
		_, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "b"})
		l.ok(err)
		if m := l.wantPhase(cluster.PhaseRolledBack); !strings.Contains(m.Reason, "upgrade that of node-a first") {
			t.Errorf("the reason is %q", m.Reason)
		}
		l.wantWish("a")
	})
}

func TestOpenMovesLeaveRoomForThoseThatEnded(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		_, err := l.update(l.ctx, func(w *rules.Write) error {
			for i := range rules.KeptMoves + 5 {
				id := cluster.VolumeID(cluster.NewUUID())
				w.Moves.Put(cluster.Move{ID: cluster.MoveID(id), Volume: id, Phase: cluster.PhaseWaiting, Attempt: i})
			}
			w.Moves.Put(cluster.Move{ID: "ended", Phase: cluster.PhaseDone, Ended: time.Now()})
			return nil
		})
		l.ok(err)
		time.Sleep(time.Second)
		if _, _, err := l.Move(l.ctx, "ended", 0); err != nil {
			t.Errorf("a move that has just ended: %v", err)
		}
	})
}

// TestAHintOffersNoAbortOfWhatIsCommitted: that would be refused.
func TestAHintOffersNoAbortOfWhatIsCommitted(t *testing.T) {
	for phase, offered := range map[cluster.Phase]bool{cluster.PhasePrecopy: true, cluster.PhasePromote: false} {
		inLab(t, func(t *testing.T, l *lab) {
			l.runDatabase()
			l.able("a")
			l.able("b")
			m := l.bring(phase)
			_, deleting := l.DeleteVolume(l.ctx, "db")
			_, moving := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "a"})
			_, back := l.RollbackVolume(l.ctx, "db", wire.RollbackRequest{Snapshot: "one"})
			for what, err := range map[string]error{"delete": deleting, "move": moving, "roll back": back} {
				if l.wantKind(err, cluster.ErrConflict); strings.Contains(cluster.Hint(err), "drover move abort "+string(m.ID)) != offered {
					t.Errorf("%s: to %s: %v (%s)", phase, what, err, cluster.Hint(err))
				}
			}
			if _, err := l.AbortMove(l.ctx, m.ID); !offered && !strings.Contains(cluster.Hint(err), "drover status") {
				t.Errorf("to abort it: %v (%s)", err, cluster.Hint(err))
			}
		})
	}
}
