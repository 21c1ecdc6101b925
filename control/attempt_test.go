package control

import (
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

func TestARefusalOfTheTargetEndsTheMove(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrepare)
		l.ok(l.Ready(l.ctx, "b", m.ID, wire.ReadyReport{Attempt: 1, Refused: "b has 1 GiB free, db needs 3"}))
		if m = l.wantPhase(cluster.PhaseRolledBack); m.Reason != "node-b refused: b has 1 GiB free, db needs 3" {
			t.Errorf("the move says %q", m.Reason)
		}
		l.wantWish("a")
		l.wantOwner("a", 1)
		l.wantEvent("rolled back", "db stays on node-a", "3", "put back")
		time.Sleep(time.Hour)
		if n := len(l.Moves()); n != 1 {
			t.Errorf("there are %d moves an hour later, want the one that ended", n)
		}
	})
}

func TestAFailedAttemptIsTriedAgainAfterAWhile(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.everyoneWakes()
		m := l.bring(cluster.PhaseHold)
		l.ok(l.failed(m, false))

		waiting := l.wantPhase(cluster.PhaseWaiting)
		if waiting.Attempt != 2 || waiting.Ready || !strings.Contains(waiting.Reason, "the link broke") {
			t.Errorf("after a failure the move is %+v, want attempt 2, not ready, with the reason", waiting)
		}
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1})
		l.wantWish("b")
		time.Sleep(900 * time.Millisecond)
		l.wantPhase(cluster.PhaseWaiting)
		time.Sleep(700 * time.Millisecond)
		again := l.wantPhase(cluster.PhasePrepare)
		if !again.Deadline.After(l.clock.now()) || !again.Held.IsZero() {
			t.Errorf("the second attempt begins as %+v, want a deadline to come and no hold", again)
		}
		for _, call := range []func(cluster.Move) error{l.ready, l.precopy, l.hold, l.commit} {
			l.ok(call(again))
		}
		l.wantOwner("b", 2)
	})
}

func TestTheBackoffGrowsAndTheAttemptsEnd(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.everyoneWakes()
		m := l.bring(cluster.PhasePrecopy)
		for i, want := range []time.Duration{1, 2, 4, 8, 15, 30, 60} {
			l.ok(l.failed(m, false))
			m = l.wantPhase(cluster.PhaseWaiting)
			if got := m.NotBefore.Sub(time.Now()); got != want*time.Second {
				t.Errorf("after attempt %d it waits %s, want %ds", i+1, got, want)
			}
			time.Sleep(want*time.Second + 500*time.Millisecond)
			m = l.wantPhase(cluster.PhasePrepare)
			l.ok(l.ready(m))
			l.ok(l.precopy(m))
		}
		l.ok(l.failed(m, false))
		if m = l.wantPhase(cluster.PhaseRolledBack); !strings.Contains(m.Reason, "given up after 8 attempts: the link broke") {
			t.Errorf("the move says %q", m.Reason)
		}
		l.wantWish("a")
	})
}

func TestAFailureThatWouldRepeatEndsTheMove(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrecopy)
		l.ok(l.failed(m, true))
		if m = l.wantPhase(cluster.PhaseRolledBack); m.Reason != "the link broke" || m.Ended.IsZero() {
			t.Errorf("the move ended as %+v", m)
		}
		l.wantWish("a")
	})
}

func TestEachPhaseHasADeadline(t *testing.T) {
	tests := []struct {
		name  string
		phase cluster.Phase
		call  func(l *lab, m cluster.Move) error // what still happens in time
		after time.Duration
		says  string
	}{
		{"the target does not answer", cluster.PhasePrepare, nil, 31 * time.Second, "node-b did not get ready within 30s"},
		{"the source does not begin", cluster.PhasePrepare, (*lab).ready, 31 * time.Second, "node-a did not begin to ship within 30s"},
		{"the source reports no progress", cluster.PhasePrecopy, nil, 61 * time.Second, "node-a reported no progress for 1m0s"},
		{"the cut-over takes too long", cluster.PhaseHold, nil, 46 * time.Second, "not done within 45s of the hold"},
		{"so does one in its final phase", cluster.PhaseHold, func(l *lab, m cluster.Move) error {
			return l.Progress(l.ctx, "a", m.ID, wire.ProgressReport{Attempt: 1, Phase: cluster.PhaseFinal})
		}, 46 * time.Second, "not done within 45s of the hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				l.everyoneWakes()
				time.Sleep(2 * time.Minute) // the start of the service is long ago
				m := l.bring(tt.phase)
				if tt.call != nil {
					l.ok(tt.call(l, m))
				}
				time.Sleep(tt.after - 3*time.Second)
				if m := l.newest(); m.Attempt != 1 {
					t.Fatalf("attempt 1 ended early: %s", m.Reason)
				}
				time.Sleep(4 * time.Second)
				if m := l.newest(); m.Attempt != 2 {
					t.Fatalf("the move is still at attempt %d in phase %q", m.Attempt, m.Phase)
				}
				l.wantEvent("attempt failed", tt.says)
				l.wantKind(l.commit(m), cluster.ErrConflict)
				l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1})
			})
		})
	}
}

func TestProgressKeepsALongPrecopyAlive(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.everyoneWakes()
		m := l.bring(cluster.PhasePrecopy)
		for range 10 {
			time.Sleep(50 * time.Second)
			l.ok(l.Progress(l.ctx, "a", m.ID, wire.ProgressReport{Attempt: 1, Phase: cluster.PhasePrecopy, Reason: "round 2",
				Stats: cluster.Stats{Rounds: []cluster.Round{{Bytes: 42}}}}))
		}
		if m = l.wantPhase(cluster.PhasePrecopy); m.Reason != "round 2" || m.Stats.PrecopiedBytes() != 42 {
			t.Errorf("the move shows %q and %d bytes, want what was reported", m.Reason, m.Stats.PrecopiedBytes())
		}
		l.ok(l.hold(m)) // and what follows has all its time
		time.Sleep(40 * time.Second)
		l.wantPhase(cluster.PhaseHold)
	})
}

// TestNoProgressHoldsClientsForLonger: they wait, whatever the source has to tell.
func TestNoProgressHoldsClientsForLonger(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.everyoneWakes()
		time.Sleep(2 * time.Minute) // the start of the service is long ago
		l.bring(cluster.PhaseHold)
		m := l.newest()
		for range 9 {
			l.ok(l.Progress(l.ctx, "a", m.ID, wire.ProgressReport{Attempt: 1, Phase: cluster.PhaseFinal}))
			time.Sleep(5 * time.Second)
		}
		time.Sleep(2 * time.Second)
		if m := l.newest(); m.Attempt != 2 {
			t.Errorf("clients are still held by attempt %d, in its %s phase", m.Attempt, m.Phase)
		}
	})
}

func TestAnAttemptFailsWhenItsSourceIsGone(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.everyoneWakes()
		m := l.bring(cluster.PhasePrecopy)
		l.host("a").sleep()
		time.Sleep(30 * time.Second)
		l.wantPhase(cluster.PhasePrecopy)
		time.Sleep(7 * time.Second)
		l.wantEvent("attempt failed", "node-a has not been heard of for 3")
		// The source comes back and goes on where it was: too late.
		l.host("a").wake()
		l.wantKind(l.hold(m), cluster.ErrStale)
		l.wantKind(l.commit(m), cluster.ErrConflict)
		l.ok(l.failed(m, false)) // it rolled back; that is known already
		l.wantOwner("a", 1)
	})
}

func TestARestartOfTheServiceFailsNoAttempt(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhaseHold)
		l.stop()
		time.Sleep(time.Hour)
		l.stop = func() {}
		l.restart()
		time.Sleep(10 * time.Second)
		if m := l.wantPhase(cluster.PhaseHold); m.Attempt != 1 {
			t.Errorf("the move is at attempt %d", m.Attempt)
		}
		l.host("a").register()
		l.host("b").register()
		l.ok(l.commit(m))
	})
}

func TestCallsOfAMoveAreChecked(t *testing.T) {
	tests := []struct {
		name  string
		phase cluster.Phase
		call  func(l *lab, m cluster.Move) error
		want  error
	}{
		{"ready comes from the target", cluster.PhasePrepare, func(l *lab, m cluster.Move) error {
			return l.Ready(l.ctx, "a", m.ID, wire.ReadyReport{Attempt: 1})
		}, cluster.ErrForbidden},
		{"ready is of the present attempt", cluster.PhasePrepare, func(l *lab, m cluster.Move) error {
			return l.Ready(l.ctx, "b", m.ID, wire.ReadyReport{Attempt: 2})
		}, cluster.ErrStale},
		{"a refusal comes too late once data is on its way", cluster.PhasePrecopy, func(l *lab, m cluster.Move) error {
			return l.Ready(l.ctx, "b", m.ID, wire.ReadyReport{Attempt: 1, Refused: "no"})
		}, cluster.ErrConflict},
		{"ready may be said twice", cluster.PhasePrecopy, (*lab).ready, nil},
		{"progress comes from the source", cluster.PhasePrecopy, func(l *lab, m cluster.Move) error {
			return l.Progress(l.ctx, "c", m.ID, wire.ProgressReport{Attempt: 1, Phase: cluster.PhasePrecopy})
		}, cluster.ErrForbidden},
		{"nothing is shipped before the target is ready", cluster.PhasePrepare, (*lab).precopy, cluster.ErrConflict},
		{"progress cannot hold", cluster.PhasePrecopy, progressTo(cluster.PhaseHold), cluster.ErrConflict},
		{"progress cannot skip the hold", cluster.PhasePrecopy, progressTo(cluster.PhaseFinal), cluster.ErrConflict},
		{"progress cannot commit", cluster.PhaseHold, progressTo(cluster.PhasePromote), cluster.ErrConflict},
		{"progress cannot end a move", cluster.PhaseHold, progressTo(cluster.PhaseDone), cluster.ErrConflict},
		{"progress without a phase is one", cluster.PhaseHold, progressTo(""), nil},
		{"progress that arrives late is no error", cluster.PhaseHold, (*lab).precopy, nil},
		{"the hold comes from the source", cluster.PhasePrecopy, func(l *lab, m cluster.Move) error {
			_, err := l.Hold(l.ctx, "b", m.ID, wire.AttemptRequest{Attempt: 1})
			return err
		}, cluster.ErrForbidden},
		{"nothing is held before the target is ready", cluster.PhasePrepare, (*lab).hold, cluster.ErrConflict},
		{"a hold may be asked for twice", cluster.PhaseHold, (*lab).hold, nil},
		{"nothing is held after the commit", cluster.PhasePromote, (*lab).hold, cluster.ErrConflict},
		{"failure is reported by the source", cluster.PhasePrecopy, func(l *lab, m cluster.Move) error {
			return l.Failed(l.ctx, "b", m.ID, wire.FailureReport{Attempt: 1})
		}, cluster.ErrForbidden},
		{"failure is not of an attempt to come", cluster.PhasePrecopy, func(l *lab, m cluster.Move) error {
			return l.Failed(l.ctx, "a", m.ID, wire.FailureReport{Attempt: 2})
		}, cluster.ErrStale},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				m := l.bring(tt.phase)
				if err := tt.call(l, m); tt.want == nil {
					l.ok(err)
				} else {
					l.wantKind(err, tt.want)
				}
				l.wantPhase(tt.phase)
			})
		})
	}
}

func progressTo(phase cluster.Phase) func(*lab, cluster.Move) error {
	return func(l *lab, m cluster.Move) error {
		return l.Progress(l.ctx, m.From, m.ID, wire.ProgressReport{Attempt: m.Attempt, Phase: phase})
	}
}

func TestAFailureThatIsKnownIsReportedInVain(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrecopy)
		l.ok(l.failed(m, false))
		l.ok(l.failed(m, false)) // the answer was lost
		if m := l.wantPhase(cluster.PhaseWaiting); m.Attempt != 2 {
			t.Errorf("the move is at attempt %d, want 2", m.Attempt)
		}
		_, err := l.AbortMove(l.ctx, m.ID)
		l.ok(err)
		l.ok(l.failed(m, false))
		l.wantPhase(cluster.PhaseRolledBack)
	})
}
