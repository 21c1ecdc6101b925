package handoff

import (
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
)

// Policy says what to do when pre-copy rounds do not get small enough for the pause budget. None of
// them begins a last round that should take longer than clients can be held: it would stop the
// application for nothing.
type Policy string

const (
	// CutOver accepts a longer pause, as long as clients can be held through it; a move that would
	// need more ends, and the application stays where it is. It is the default.
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
	budget time.Duration
	// hold is how long clients can be held, and stop what the application took to stop in an earlier
	// attempt. A hold of zero has no bound.
	hold, stop time.Duration
	maxRounds  int
	policy     Policy

	rounds int
	known  bool // a round was incremental
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
	if p.known {
		p.before = p.last
	}
	if p.known && r.took > p.last*9/10 {
		p.stuck++
	} else {
		p.stuck = 0
	}
	p.last, p.known = r.took, true
}

// small is what a last round takes for what it is made of, whatever it ships.
const small = 100 * time.Millisecond

// shrinks reports whether rounds still get shorter by a third at least: then another one costs
// little, since each is shorter, and spares clients more than it costs.
func (p *predictor) shrinks() bool {
	return p.known && p.last > small && (p.before == 0 || p.last <= p.before*2/3)
}

// expects returns how long the last round should take, and whether that is known: a full copy says
// nothing of it, unless the rounds after it are full ones too.
func (p *predictor) expects() (time.Duration, bool) {
	if p.known {
		return p.last, true
	}
	return p.before, p.rounds > 1
}

// goal is how long the last round may take without any policy having to decide.
func (p *predictor) goal() time.Duration {
	if p.hold > 0 {
		return min(p.budget, p.room())
	}
	return p.budget
}

// room is what the hold leaves for the last round: a quarter is for all the rest, or the stop alone if
// that takes longer.
func (p *predictor) room() time.Duration { return max(p.hold-max(p.hold/4, p.stop), 0) }

func (p *predictor) next() (verdict, string) {
	left := p.rounds < p.maxRounds
	expected, known := p.expects()
	switch {
	case !p.known && (left || !known):
		return another, ""
	case expected <= p.goal() && left && p.shrinks():
		return another, ""
	case expected <= p.goal():
		return enough, fmt.Sprintf("the last round should take %s, the budget is %s", expected.Round(time.Millisecond), p.goal())
	case left && p.stuck < maxStuck:
		return another, ""
	}
	why := fmt.Sprintf("after %s the last one should still take %s, the budget is %s",
		cluster.Count(p.rounds, "round"), expected.Round(time.Millisecond), p.budget)
	if !p.fits() {
		why = p.tooLong()
	}
	switch {
	case p.policy == Wait:
		return later, why
	case p.policy == Fail || !p.fits():
		return tooMuch, why
	default:
		return enough, why
	}
}

// fits reports whether clients can be held for as long as the last round should take.
func (p *predictor) fits() bool {
	expected, _ := p.expects()
	return p.hold <= 0 || expected <= p.room()
}

// tooLong says that they can't.
func (p *predictor) tooLong() string {
	expected, _ := p.expects()
	why := fmt.Sprintf("after %s the last one should still take %s, and of the %s that clients can be held it may take %s",
		cluster.Count(p.rounds, "round"), expected.Round(time.Millisecond), p.hold, p.room().Round(time.Millisecond))
	if p.stop > p.hold/4 {
		why += fmt.Sprintf(": the application took %s to stop", p.stop.Round(time.Millisecond))
	}
	return why
}
