package control

import (
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

func lease(node cluster.NodeID, expires time.Time) func(*cluster.Configuration) {
	return func(c *cluster.Configuration) {
		c.Leases[dbVolume] = cluster.Lease{Volume: dbVolume, Node: node, Expires: expires}
	}
}

func release(c *cluster.Configuration) { delete(c.Leases, dbVolume) }

func TestAMoveWaitsForTheLease(t *testing.T) {
	tests := []struct {
		name string
		ends func(l *lab)
		says string
	}{
		{"until it is released", func(l *lab) { l.configure(release) }, "a lease keeps it on node-a until it is released"},
		{"until it expires", func(l *lab) { time.Sleep(10 * time.Minute) }, "a lease keeps it on node-a until 2000-01-01T00:0"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				expires := time.Time{}
				if i == 1 {
					expires = time.Now().Add(5 * time.Minute)
				}
				l.configure(lease("a", expires))
				l.configure(database("b"))
				if m := l.wantPhase(cluster.PhaseWaiting); !strings.Contains(m.Reason, tt.says) {
					t.Errorf("the move says %q, want %q", m.Reason, tt.says)
				}
				time.Sleep(4 * time.Minute)
				l.everyoneWakes()
				l.wantPhase(cluster.PhaseWaiting)
				tt.ends(l)
				if m := l.newest(); m.Started.IsZero() {
					t.Errorf("the move is %+v, want it begun", m)
				}
				if c, _ := l.Configuration(); len(c.Leases) != 0 {
					t.Errorf("the leases are %v", c.Leases)
				}
			})
		})
	}
}

func TestALeaseThatComesDuringAMoveStopsItBeforeTheHold(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.everyoneWakes()
		m := l.bring(cluster.PhasePrecopy)
		l.configure(lease("a", time.Time{}))
		l.wantKind(l.hold(m), cluster.ErrConflict)
		l.ok(l.failed(m, false))
		time.Sleep(time.Hour)
		if m := l.wantPhase(cluster.PhaseWaiting); m.Attempt != 2 || !strings.Contains(m.Reason, "a lease keeps it") {
			t.Errorf("the move is %+v", m)
		}
		l.configure(release)
		l.wantPhase(cluster.PhasePrepare)
	})
}

func TestALeaseElsewhereForbidsNothing(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.configure(lease("b", time.Time{}))
		l.configure(database("b"))
		l.wantPhase(cluster.PhasePrepare)
	})
}

func TestAnExpiredLeaseIsToldOf(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.configure(lease("a", time.Now().Add(time.Minute)))
		_, before := l.Configuration()
		time.Sleep(2 * time.Minute)
		if _, after := l.Configuration(); after == before {
			t.Error("a lease expired, and the configuration has the same revision")
		}
		l.wantEvent("lease expired", "volume db on node-a")
	})
}
