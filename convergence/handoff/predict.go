package handoff

import (
	"fmt"
	"time"
)

// Policy says what to do when pre-copy rounds do not get small enough for the pause budget.
type Policy string

const (
	// CutOver accepts the longer pause. It is the default.
	CutOver Policy = "cut over"
	// Wait goes on shipping rounds until one fits.
	Wait Policy = "wait"
	// Fail ends the move; the application stays where it is.
	Fail Policy = "fail"
)

// A round is what the predictor knows of one shipment.
type round struct {
	took time.Duration
	// incremental: it shipped a difference. How long a full copy takes says nothing of how long
	// the last round will.
	incremental bool
}

// A predictor decides after each round whether another one pays. The last round is predicted to
// take as long as the newest incremental one: while that ran, the application wrote what the
// next has to carry.
type predictor struct {
	budget    time.Duration
	maxRounds int
	policy    Policy

	rounds int
	last   time.Duration
	before time.Duration // the round before it, of either kind
	stuck  int           // rounds in a row that were not at least a tenth quicker than the one before
}

// verdict is what the predictor says.
type verdict int

const (
	another verdict = iota // ship another round at once
	enough                 // the last round will fit, or the policy takes what comes
	later                  // ship another round after a while
	tooMuch                // the policy gives up
)

const maxStuck = 3

func (p *predictor) add(r round) {
	p.rounds++
	if !r.incremental {
		p.before = r.took
		return
	}
	if p.last > 0 {
		p.before = p.last
	}
	if p.last > 0 && r.took > p.last*9/10 {
		p.stuck++
	} else {
		p.stuck = 0
	}
	p.last = r.took
}

// small is what a last round takes for what it is made of, whatever it ships.
const small = 100 * time.Millisecond

// shrinks reports whether rounds still get shorter by a third at least: then another one costs
// little, since each is shorter, and spares clients more than it costs.
func (p *predictor) shrinks() bool {
	return p.last > small && (p.before == 0 || p.last <= p.before*2/3)
}

func (p *predictor) next() (verdict, string) {
	switch {
	case p.last > 0 && p.last <= p.budget && p.rounds < p.maxRounds && p.shrinks():
		return another, ""
	case p.last > 0 && p.last <= p.budget:
		return enough, fmt.Sprintf("the last round should take %s, the budget is %s", p.last.Round(time.Millisecond), p.budget)
	case p.rounds < p.maxRounds && p.stuck < maxStuck:
		return another, ""
	}
	why := fmt.Sprintf("after %d rounds the last one should still take %s, the budget is %s",
		p.rounds, p.last.Round(time.Millisecond), p.budget)
	switch p.policy {
	case Wait:
		return later, why
	case Fail:
		return tooMuch, why
	default:
		return enough, why
	}
}
