package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/wire"
)

func TestAMoveFromItsRequestToItsEnd(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.everyoneWakes()
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1})

		m, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "node-b"})
		l.ok(err)
		l.wantWish("b")
		l.wantPhase(cluster.PhasePrepare)
		l.ok(l.ready(m))
		l.ok(l.precopy(m))
		l.wantPhase(cluster.PhasePrecopy)
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1})

		time.Sleep(time.Second)
		held, err := l.Hold(l.ctx, "a", m.ID, wire.AttemptRequest{Attempt: 1})
		l.ok(err)
		if held.Holding != 3 || len(held.Missing) != 0 {
			t.Errorf("held by %+v, want all three nodes", held)
		}
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Hold, Endpoint: "a:5432", Epoch: 1, Move: m.ID})

		time.Sleep(300 * time.Millisecond)
		o, err := l.Commit(l.ctx, "a", m.ID, wire.CommitRequest{Attempt: 1, Epoch: 1, Base: "guid",
			Stats: cluster.Stats{Rounds: []cluster.Round{{Bytes: 3 << 20}}, Final: cluster.Round{Bytes: 7}}})
		l.ok(err)
		if want := (cluster.Ownership{Volume: dbVolume, Owner: "b", Epoch: 2, Created: true, Base: "guid"}); o != want {
			t.Errorf("the commit answered %+v, want %+v", o, want)
		}
		l.wantPhase(cluster.PhasePromote)
		l.wantOwner("b", 2)
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Hold, Endpoint: "a:5432", Epoch: 2, Move: m.ID})

		time.Sleep(200 * time.Millisecond)
		l.host("b").act()
		done := l.wantPhase(cluster.PhaseDone)
		if done.Stats.Pause != 500*time.Millisecond || done.Stats.Promote != 200*time.Millisecond {
			t.Errorf("paused %s of which promoting %s, want 500ms and 200ms", done.Stats.Pause, done.Stats.Promote)
		}
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "b:5432", Epoch: 2})
		l.wantEvent("moved", "db moved from node-a to node-b", "3.0 MiB shipped while it ran (rounds: 1)", "7 bytes while it was stopped", "waited 500ms")
	})
}

func TestCommitIsRefused(t *testing.T) {
	tests := []struct {
		name   string
		before func(l *lab) cluster.Move
		node   cluster.NodeID
		epoch  cluster.Epoch
		want   error
		says   string
	}{
		{"before the clients are held", func(l *lab) cluster.Move { return l.bring(cluster.PhasePrecopy) }, "a", 1, cluster.ErrConflict, "precopy"},
		{"to a node that is not the source", func(l *lab) cluster.Move { return l.bring(cluster.PhaseHold) }, "b", 1, cluster.ErrForbidden, "not the source"},
		{"with another epoch", func(l *lab) cluster.Move { return l.bring(cluster.PhaseHold) }, "a", 2, cluster.ErrStale, "epoch 2"},
		{"for an attempt that failed", func(l *lab) cluster.Move {
			m := l.bring(cluster.PhaseHold)
			l.ok(l.failed(m, false))
			return m
		}, "a", 1, cluster.ErrConflict, "attempt 2"},
		{"for a move that rolled back", func(l *lab) cluster.Move {
			m := l.bring(cluster.PhaseHold)
			l.ok(l.failed(m, true))
			return m
		}, "a", 1, cluster.ErrConflict, "rolled back"},
		{"for a move that is aborted", func(l *lab) cluster.Move {
			m := l.bring(cluster.PhaseHold)
			_, err := l.AbortMove(l.ctx, m.ID)
			l.ok(err)
			return m
		}, "a", 1, cluster.ErrConflict, "aborted by a user"},
		{"for one that is aborted in its last round", func(l *lab) cluster.Move {
			m := l.bring(cluster.PhaseHold)
			l.ok(l.Progress(l.ctx, "a", m.ID, wire.ProgressReport{Attempt: 1, Phase: cluster.PhaseFinal}))
			_, err := l.AbortMove(l.ctx, m.ID)
			l.ok(err)
			return m
		}, "a", 1, cluster.ErrConflict, "aborted by a user"},
		{"when the volume was deleted meanwhile", func(l *lab) cluster.Move {
			m := l.bring(cluster.PhaseHold)
			l.configure(func(c *cluster.Configuration) {
				delete(c.Applications, "db")
				v := c.Volumes[dbVolume]
				v.Deleted = true
				c.Volumes[dbVolume] = v
			})
			return m
		}, "a", 1, cluster.ErrConflict, "deleted"},
		{"while the target is out of touch", func(l *lab) cluster.Move {
			m := l.bring(cluster.PhaseHold)
			time.Sleep(16 * time.Second) // and one more of the hold
			return m
		}, "a", 1, cluster.ErrUnavailable, "target node-b has not been heard of for 17s"},
		{"of a move that does not exist", func(l *lab) cluster.Move { return cluster.Move{ID: "x", Attempt: 1} }, "a", 1, cluster.ErrNotFound, `"x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				m := tt.before(l)
				_, err := l.Commit(l.ctx, tt.node, m.ID, wire.CommitRequest{Attempt: m.Attempt, Epoch: tt.epoch})
				l.wantKind(err, tt.want)
				if err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("the error is %q, want it to say %q", err, tt.says)
				}
				status, ownerErr := l.Volume(string(dbVolume))
				l.ok(ownerErr)
				if status.Ownership.Owner != "a" || status.Ownership.Epoch != 1 {
					t.Errorf("the owner is %+v, want a at epoch 1", status.Ownership)
				}
			})
		})
	}
}

// TestAMoveIsNotDoneByWhatWasOpenBefore: its target may have owned the volume at another time, and say so late.
func TestAMoveIsNotDoneByWhatWasOpenBefore(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.configure(func(c *cluster.Configuration) { delete(c.Applications, "db") })
		m, err := l.RequestMove(l.ctx, wire.MoveRequest{Volume: "db", To: "b"})
		l.ok(err)
		for _, call := range []func(cluster.Move) error{l.ready, l.precopy, l.hold, l.commit} {
			l.ok(call(m))
		}
		b := l.host("b")
		b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 1, Open: true}}
		b.report()
		l.wantPhase(cluster.PhasePromote)
		b.act()
		l.wantPhase(cluster.PhaseDone)
	})
}

func TestACommitAnswersTheSameForEver(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePromote)
		l.ok(l.commit(m))
		l.restart()
		l.host("a").register()
		l.ok(l.commit(m))
		l.host("b").register()
		l.host("b").act()
		l.wantPhase(cluster.PhaseDone)
		l.ok(l.commit(m))

		// Even after the volume moved back: that commit did happen.
		back, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "a"})
		l.ok(err)
		l.host("a").register()
		for _, call := range []func(cluster.Move) error{l.ready, l.precopy, l.hold, l.commit} {
			l.ok(call(back))
		}
		l.wantOwner("a", 3)
		o, err := l.Commit(l.ctx, "a", m.ID, wire.CommitRequest{Attempt: 1, Epoch: 1, Base: "guid"})
		l.ok(err)
		if o.Owner != "b" || o.Epoch != 2 {
			t.Errorf("the first commit answers %+v now, want b at epoch 2", o)
		}
	})
}

func TestACommittedMoveOnlyGoesForward(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePromote)
		l.wantKind(l.failed(m, true), cluster.ErrConflict)
		_, err := l.AbortMove(l.ctx, m.ID)
		l.wantKind(err, cluster.ErrConflict)
		_, err = l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "a"})
		l.wantKind(err, cluster.ErrConflict)

		time.Sleep(10 * time.Minute)
		late := l.wantPhase(cluster.PhasePromote)
		if want := "node-b has not opened the volume yet"; late.Reason != want {
			t.Errorf("the move says %q, want %q", late.Reason, want)
		}
		h := l.host("b")
		h.obey(h.assignment())
		h.state.Applications[0].Healthy, h.state.Applications[0].Reason = false, "exited with status 1"
		h.report()
		time.Sleep(time.Second)
		if late = l.wantPhase(cluster.PhasePromote); !strings.Contains(late.Reason, "exited with status 1") {
			t.Errorf("the move says %q, want it to say why the application is not healthy", late.Reason)
		}
		h.act()
		l.wantPhase(cluster.PhaseDone)
	})
}

func TestTheNewestWishIsServedAfterACommittedMove(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.bring(cluster.PhasePromote)
		if moves := l.configure(database("c")); len(moves) != 0 {
			t.Errorf("a second move %v began while the first was under way", moves)
		}
		time.Sleep(time.Second)
		l.host("b").act()
		if m := l.newest(); m.From != "b" || m.To != "c" || m.Epoch != 2 {
			t.Errorf("the next move is %+v, want b to c at epoch 2", m)
		}
	})
}

// A brokenStore fails writes, before or after they are done.
type brokenStore struct {
	store.Store
	before, after error
}

func (b *brokenStore) Write(ctx context.Context, batch store.Batch) (cluster.Revision, error) {
	if b.before != nil {
		return 0, b.before
	}
	rev, err := b.Store.Write(ctx, batch)
	if err == nil && b.after != nil {
		return 0, b.after
	}
	return rev, err
}

func TestACommitWhoseWriteFailedIsAskedForAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		breaks func(*brokenStore, error)
	}{
		{"the write did not happen", func(b *brokenStore, err error) { b.before = err }},
		{"the write happened, the answer was lost", func(b *brokenStore, err error) { b.after = err }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				m := l.bring(cluster.PhaseHold)
				broken := &brokenStore{Store: l.store}
				tt.breaks(broken, errors.New("disk full"))
				l.Service.writing.Lock()
				l.Service.store = broken
				l.Service.writing.Unlock()

				err := l.commit(m)
				l.wantKind(err, cluster.ErrUnavailable)
				if errors.Is(err, cluster.ErrConflict) || errors.Is(err, cluster.ErrStale) {
					t.Errorf("%v: the source would take this for a promise that it was not committed", err)
				}
				broken.before, broken.after = nil, nil
				l.ok(l.commit(m))
				l.wantOwner("b", 2)
			})
		})
	}
}

// TestAMoveThatEndsWithSomethingElseHasNoProof: what an operator accepted on the target is not what was
// committed.
func TestAMoveThatEndsWithSomethingElseHasNoProof(t *testing.T) {
	for head, proven := range map[string]bool{"guid": false, "earlier": true} {
		inLab(t, func(t *testing.T, l *lab) {
			l.runDatabase()
			m := l.bring(cluster.PhaseHold)
			_, err := l.Commit(l.ctx, "a", m.ID, wire.CommitRequest{Attempt: m.Attempt, Epoch: m.Epoch, Base: "guid", Stats: cluster.Stats{Proof: "sha256 12"}})
			l.ok(err)
			b := l.host("b")
			b.obey(b.assignment())
			b.state.Volumes[0].Accepted = &cluster.Accepted{Head: head, Although: "its file log was changed"}
			b.report()
			done := l.wantPhase(cluster.PhaseDone).Stats
			if (done.Proof != "") != proven || (done.Accepted == "") != proven {
				t.Errorf("accepted at %s: %+v", head, done)
			}
			if !proven && !containsAll(done.Accepted, []string{"node-b", "its file log was changed", "replica on node-a"}) {
				t.Errorf("it says %s", done.Accepted)
			}
		})
	}
}
