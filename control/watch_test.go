package control

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/wire"
)

// pending asks for the assignment after since, and returns where it will arrive.
func (h *host) pending(since cluster.Revision) <-chan cluster.Assignment {
	result := make(chan cluster.Assignment, 1)
	svc := h.lab.Service
	go func() {
		if s, err := svc.Assignment(h.lab.ctx, h.id, since); err == nil {
			result <- s
		}
	}()
	synctest.Wait()
	return result
}

func wantNothing(t *testing.T, why string, result <-chan cluster.Assignment) {
	t.Helper()
	synctest.Wait()
	select {
	case s := <-result:
		t.Errorf("%s: got assignment %+v", why, s)
	default:
	}
}

func TestANodeIsWokenByWhatConcernsItOnly(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		for _, id := range records.Sorted(l.hosts) {
			l.host(id).act()
		}
		waiting := map[cluster.NodeID]<-chan cluster.Assignment{}
		for id, h := range l.hosts {
			waiting[id] = h.pending(h.assignment().Revision)
		}
		l.configure(func(c *cluster.Configuration) {
			app := c.Applications["db"]
			app.Environment = map[string]string{"X": "1"}
			c.Applications["db"] = app
		})
		if s := arrived(t, waiting["a"]); s.Applications[0].Environment["X"] != "1" {
			t.Errorf("a was woken with %+v", s)
		}
		wantNothing(t, "another node's application", waiting["b"])

		l.bring(cluster.PhasePrepare)
		if s := arrived(t, waiting["b"]); len(s.Arriving) != 1 || s.Arriving[0].NeedBytes != 1000 || s.Arriving[0].FromBackend != "dir" {
			t.Errorf("the target was woken with %+v", s)
		}
		wantNothing(t, "a move of others", waiting["c"])
		l.host("c").state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica}}
		l.host("c").report()
		if s := arrived(t, waiting["c"]); len(s.Owners) != 1 || s.Owners[0].Owner != "a" {
			t.Errorf("with a replica c was woken with %+v", s)
		}
		waiting["c"] = l.host("c").pending(l.host("c").assignment().Revision)

		l.ok(l.Register(l.ctx, cluster.Node{ID: "d", Name: "d"}))
		if s := arrived(t, waiting["c"]); len(s.Nodes) != 4 {
			t.Errorf("c was woken with %+v", s)
		}
	})
}

func TestAnAssignmentHasANewRevisionOnlyWithNewContent(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		a := l.host("a")
		before := a.assignment()
		l.configure(func(c *cluster.Configuration) {})
		l.configure(func(c *cluster.Configuration) {
			v := c.Volumes[dbVolume]
			v.Name = "other"
			c.Volumes[dbVolume] = v
		})
		l.configure(database("a")) // and back, while nobody looked
		a.report()
		if after := a.assignment(); after.Revision != before.Revision {
			t.Errorf("revision %d became %d with the same content", before.Revision, after.Revision)
		}
	})
}

func TestRevisionsOfAssignmentsGrowOverRestarts(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		seen := map[cluster.Revision]bool{}
		newest := cluster.Revision(0)
		for range 3 {
			for i := range 3 {
				l.host("a").state.Volumes[0].UsedBytes += int64(i)
				l.host("a").report()
				s := l.host("a").assignment()
				if s.Revision < newest {
					t.Errorf("revision %d after %d", s.Revision, newest)
				}
				newest = s.Revision
			}
			if seen[newest] {
				t.Errorf("revision %d was given out by an earlier life of the service", newest)
			}
			seen[newest] = true
			l.restart()
		}
	})
}

func TestAnAssignmentAskedForInVainEndsWithItsContext(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		since := l.host("a").assignment().Revision
		ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
		defer cancel()
		_, err := l.Assignment(ctx, "a", since)
		l.wantKind(err, context.DeadlineExceeded)
		_, err = l.Assignment(l.ctx, "stranger", 0)
		l.wantKind(err, cluster.ErrNotFound)
	})
}

func TestHoldWaitsForTheProxies(t *testing.T) {
	tests := []struct {
		name    string
		wake    []cluster.NodeID
		asks    cluster.NodeID // asks for assignments, but does not act on what it gets
		holding int
		missing []cluster.NodeID
		within  time.Duration
	}{
		{"all hold at once", []cluster.NodeID{"a", "b", "c"}, "", 3, nil, 0},
		{"a node that never asked for an assignment is not waited for", []cluster.NodeID{"a", "b"}, "", 2, nil, 0},
		{"one that does not answer is named after a second", []cluster.NodeID{"a", "b"}, "c", 2, []cluster.NodeID{"c"}, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				m := l.bring(cluster.PhasePrecopy)
				time.Sleep(wire.LivenessWindow + time.Second) // what the hosts asked for before does not count
				for _, id := range tt.wake {
					l.host(id).wake()
				}
				if tt.asks != "" {
					l.host(tt.asks).assignment()
				}
				synctest.Wait()
				began := time.Now()
				got, err := l.Hold(l.ctx, "a", m.ID, wire.AttemptRequest{Attempt: 1})
				l.ok(err)
				if got.Holding != tt.holding || len(got.Missing) != len(tt.missing) || (len(tt.missing) > 0 && got.Missing[0] != tt.missing[0]) {
					t.Errorf("the hold answered %+v, want %d and without %v", got, tt.holding, tt.missing)
				}
				if took := time.Since(began); took != tt.within {
					t.Errorf("it took %s, want %s", took, tt.within)
				}
			})
		})
	}
}

func TestAnAcknowledgementFromAnEarlierLifeDoesNotCount(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrecopy)
		l.ok(l.hold(m))
		before := l.host("c").assignment().Revision
		l.restart()
		l.host("a").register()
		l.host("c").report()
		// c comes back acting on an assignment of before. It gets another one, and has not acted on it.
		if _, err := l.Assignment(l.ctx, "c", before); err != nil {
			t.Fatal(err)
		}
		got, err := l.Hold(l.ctx, "a", m.ID, wire.AttemptRequest{Attempt: 1})
		l.ok(err)
		if got.Holding != 0 || !slices.Contains(got.Missing, "c") {
			t.Errorf("the hold answered %+v, want c missing", got)
		}
	})
}

func TestAHoldThatNobodyWaitsForAnyMore(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrecopy)
		l.host("c").assignment()
		ctx, cancel := context.WithTimeout(l.ctx, 100*time.Millisecond)
		defer cancel()
		_, err := l.Hold(ctx, "a", m.ID, wire.AttemptRequest{Attempt: 1})
		l.wantKind(err, context.DeadlineExceeded)
		l.wantPhase(cluster.PhaseHold)
	})
}

func TestEveryCopyLearnsOfANewOwner(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(func(c *cluster.Configuration) { // without an application there are no routes to wake anyone
			c.Volumes[dbVolume] = cluster.Volume{ID: dbVolume, Name: "db", Primary: "a"}
		})
		l.host("a").act()
		l.host("c").state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica}}
		l.host("c").report()
		m, err := l.RequestMove(l.ctx, wire.MoveRequest{Volume: "db", To: "b"})
		l.ok(err)
		l.ok(l.ready(m))
		l.ok(l.hold(m))
		waiting := l.host("c").pending(l.host("c").assignment().Revision)
		l.ok(l.commit(m))
		if s := arrived(t, waiting); len(s.Owners) != 1 || s.Owners[0].Owner != "b" || s.Owners[0].Epoch != 2 {
			t.Errorf("c was woken with %+v, want b as the owner", s)
		}
		l.host("b").act()
		l.wantPhase(cluster.PhaseDone)
	})
}
