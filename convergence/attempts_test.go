package convergence

import (
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
)

// TestWhatWasGivenUpIsKnown for as long as its move is open: an attempt of that number is not made again, whose snapshots
// would be taken for those of now.
func TestWhatWasGivenUpIsKnown(t *testing.T) {
	var of attempts
	move := cluster.Move{ID: "m", Attempt: 2}
	why := handoff.Refused(cluster.ErrRefused)
	want := func(when string, broken, gaveUp int) {
		t.Helper()
		b, g := of.seen()
		if b["m"] != broken || g["m"] != gaveUp || len(b)+len(g) != 1 {
			t.Errorf("%s: to be told are %v, told are %v", when, b, g)
		}
		if of.of(move) != why {
			t.Errorf("%s: how it ended is not known any more", when)
		}
	}
	of.note(move, outcome{err: why})
	want("it ended", 2, 0)
	of.note(move, outcome{err: of.of(move), acknowledged: true})
	want("it is acknowledged", 0, 2)
	of.keep([]cluster.Move{move})
	want("it is open", 0, 2)
	of.keep(nil)
	if broken, gaveUp := of.seen(); len(broken)+len(gaveUp) != 0 {
		t.Errorf("of a move that has ended is remembered %v, %v", broken, gaveUp)
	}
}
