package control

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

func (l *lab) setClock(by time.Duration) { l.ahead.Add(int64(by)) }

// TestWaitingGoesByNoClockThatIsSet: who is in touch, and how long a move may take, is the same whatever the
// clock of the service's host shows.
func TestWaitingGoesByNoClockThatIsSet(t *testing.T) {
	for what, by := range map[string]time.Duration{"forward": 24 * time.Hour, "back": -24 * time.Hour} {
		t.Run(what, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				m := l.bring(cluster.PhaseHold)
				l.setClock(by)
				time.Sleep(time.Second)
				for _, n := range l.Nodes() {
					if !n.Live || n.Heard.Sub(l.clock.wall()).Abs() > time.Minute {
						t.Errorf("%s is in touch: %t, heard of at %s", n.Node.Name, n.Live, n.Heard)
					}
				}
				l.wantPhase(cluster.PhaseHold)
				l.ok(l.commit(m))
				time.Sleep(20 * time.Second)
				for _, n := range l.Nodes() {
					if n.Live {
						t.Errorf("%s has been silent for 20 s, and is in touch", n.Node.Name)
					}
				}
				if m := l.newest(); m.Requested.After(m.Committed.Add(time.Hour)) && by < 0 {
					t.Errorf("requested at %s, committed at %s", m.Requested, m.Committed)
				}
			})
		})
	}
}

// TestNothingIsWaitedForThatAnotherClockSaid: a service that starts with a clock that is behind does not wait until
// that has caught up.
func TestNothingIsWaitedForThatAnotherClockSaid(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrecopy)
		l.ok(l.failed(m, false))
		l.wantPhase(cluster.PhaseWaiting)
		l.setClock(-time.Hour)
		l.restart()
		l.everyoneWakes()
		time.Sleep(5 * time.Second)
		if m := l.newest(); m.Phase == cluster.PhaseWaiting {
			t.Errorf("the move waits until %s", m.NotBefore)
		}
	})
}
