package cluster

import (
	"testing"
	"time"
)

// The table is the order of a move, and what is true in each phase.
func TestPhases(t *testing.T) {
	for _, row := range []struct {
		phase                   Phase
		committed, ended, holds bool
	}{
		{phase: PhaseWaiting},
		{phase: PhasePrepare},
		{phase: PhasePrecopy},
		{phase: PhaseHold, holds: true},
		{phase: PhaseFinal, holds: true},
		{phase: PhasePromote, holds: true, committed: true},
		{phase: PhaseDone, committed: true, ended: true},
		{phase: PhaseRolledBack, ended: true},
	} {
		if row.phase.Committed() != row.committed || row.phase.Ended() != row.ended || row.phase.Holds() != row.holds {
			t.Errorf("%s: committed %t, ended %t, holds %t; want %t, %t, %t", row.phase,
				row.phase.Committed(), row.phase.Ended(), row.phase.Holds(), row.committed, row.ended, row.holds)
		}
	}
}

func TestPrecopiedBytesLeaveOutTheFinalRound(t *testing.T) {
	f := Stats{Rounds: []Round{{Bytes: 100}, {Bytes: 20}, {Bytes: 3}}, Final: Round{Bytes: 7}}
	if got := f.PrecopiedBytes(); got != 123 {
		t.Errorf("got %d, want 123", got)
	}
}

func TestLeaseExpires(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, row := range []struct {
		rule    string
		expires time.Time
		want    bool
	}{
		{"never without a time", time.Time{}, false},
		{"not before its time", now.Add(1), false},
		{"at its time", now, true},
		{"after its time", now.Add(-1), true},
	} {
		if got := (Lease{Expires: row.expires}).Expired(now); got != row.want {
			t.Errorf("%s: got %t, want %t", row.rule, got, row.want)
		}
	}
}

func TestPeer(t *testing.T) {
	s := Assignment{Nodes: []Node{{ID: "a", Name: "first"}, {ID: "b", Name: "second"}}}
	if n, ok := s.Peer("b"); !ok || n.Name != "second" {
		t.Errorf("got %+v %t, want b", n, ok)
	}
	if n, ok := s.Peer("c"); ok {
		t.Errorf("got %+v for a node that is not there", n)
	}
}
