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
	} {
		t.Run(row.rule, func(t *testing.T) {
			p := predictor{budget: 2 * time.Second, maxRounds: 5, policy: row.policy}
			for _, r := range row.rounds {
				p.add(r)
			}
			if got, why := p.next(); got != row.want {
				t.Errorf("got %d (%s), want %d", got, why, row.want)
			}
		})
	}
}
