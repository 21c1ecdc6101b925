package handoff

import (
	"testing"
	"time"
)

func TestPredictor(t *testing.T) {
	full := func(took time.Duration) round { return round{took: took} }
	delta := func(took time.Duration) round { return round{took: took, incremental: true} }
	for _, row := range []struct {
		rule   string
		policy Policy
		rounds []round
		want   verdict
	}{
		{"a full copy says nothing of the last round", CutOver, []round{full(time.Millisecond)}, another},
		{"a difference that fits the budget and was much shorter is worth another round", CutOver, []round{full(time.Minute), delta(time.Second)}, another},
		{"so is a first one", CutOver, []round{delta(time.Second)}, another},
		{"one that was no shorter is enough", CutOver, []round{full(time.Minute), delta(time.Second), delta(900 * time.Millisecond)}, enough},
		{"a small one is enough", CutOver, []round{full(time.Minute), delta(90 * time.Millisecond)}, enough},
		{"exactly the budget fits", CutOver, []round{delta(2 * time.Second), delta(2 * time.Second)}, enough},
		{"rounds that shrink go on", CutOver, []round{delta(90 * time.Second), delta(60 * time.Second), delta(40 * time.Second), delta(20 * time.Second)}, another},
		{"three rounds without a tenth of gain are enough for cut over", CutOver,
			[]round{delta(9 * time.Second), delta(9 * time.Second), delta(9 * time.Second), delta(9 * time.Second)}, enough},
		{"a round with gain begins the count anew", CutOver,
			[]round{delta(9 * time.Second), delta(9 * time.Second), delta(9 * time.Second), delta(8 * time.Second)}, another},
		{"the bound on rounds holds although they shrink", CutOver,
			[]round{delta(50 * time.Second), delta(40 * time.Second), delta(30 * time.Second), delta(20 * time.Second), delta(10 * time.Second)}, enough},
		{"policy wait goes on later", Wait, []round{delta(9 * time.Second), delta(9 * time.Second), delta(9 * time.Second), delta(9 * time.Second)}, later},
		{"policy fail gives up", Fail, []round{delta(9 * time.Second), delta(9 * time.Second), delta(9 * time.Second), delta(9 * time.Second)}, tooMuch},
		{"policy fail cuts over when it fits", Fail, []round{delta(9 * time.Second), delta(time.Second), delta(time.Second)}, enough},
		{"a bound on rounds that were all full but one is no reason to guess", CutOver,
			[]round{full(time.Minute), full(time.Minute), full(time.Minute), full(time.Minute), delta(time.Second)}, enough},
		{"what the hold has room for is cut over", CutOver,
			[]round{delta(22 * time.Second), delta(22 * time.Second), delta(22 * time.Second), delta(22 * time.Second)}, enough},
		{"what the hold has no room for is never begun", CutOver,
			[]round{delta(52 * time.Second), delta(52 * time.Second), delta(52 * time.Second), delta(52 * time.Second)}, tooMuch},
		{"nor with policy wait", Wait,
			[]round{delta(52 * time.Second), delta(52 * time.Second), delta(52 * time.Second), delta(52 * time.Second)}, later},
		{"nor when rounds still shrink at their bound", CutOver,
			[]round{delta(120 * time.Second), delta(90 * time.Second), delta(70 * time.Second), delta(50 * time.Second), delta(30 * time.Second)}, tooMuch},
		{"where every round is a full one, the last one will be", CutOver,
			[]round{full(time.Minute), full(time.Minute), full(time.Minute), full(time.Minute), full(time.Minute)}, tooMuch},
		{"and may fit", CutOver,
			[]round{full(time.Second), full(time.Second), full(time.Second), full(time.Second), full(time.Second)}, enough},
	} {
		t.Run(row.rule, func(t *testing.T) {
			p := predictor{budget: 2 * time.Second, hold: 30 * time.Second, maxRounds: 5, policy: row.policy}
			for _, r := range row.rounds {
				p.add(r)
			}
			if got, why := p.next(); got != row.want {
				t.Errorf("got %d (%s), want %d", got, why, row.want)
			}
		})
	}
}

// TestTheFirstDifferenceIsWaitedFor: after as many full copies as rounds may be, one says nothing yet.
func TestTheFirstDifferenceIsWaitedFor(t *testing.T) {
	p := predictor{budget: 2 * time.Second, hold: 30 * time.Second, maxRounds: 1}
	p.add(round{took: time.Hour})
	if got, why := p.next(); got != another {
		t.Errorf("after the full copy: got %d (%s), want another round", got, why)
	}
	p.add(round{took: 0, incremental: true}) // by a coarse clock
	if got, why := p.next(); got != enough {
		t.Errorf("after a difference: got %d (%s), want enough", got, why)
	}
}

func TestTheRoomThatAHoldLeaves(t *testing.T) {
	for _, row := range []struct {
		rule             string
		hold, stop, want time.Duration
	}{
		{"three quarters, where the stop is not known", 30 * time.Second, 0, 22500 * time.Millisecond},
		{"three quarters, where the stop was quick", 30 * time.Second, time.Second, 22500 * time.Millisecond},
		{"what a long stop leaves", 30 * time.Second, 25 * time.Second, 5 * time.Second},
		{"nothing", 30 * time.Second, time.Minute, 0},
	} {
		if got := (&predictor{hold: row.hold, stop: row.stop}).room(); got != row.want {
			t.Errorf("%s: got %s, want %s", row.rule, got, row.want)
		}
	}
}
