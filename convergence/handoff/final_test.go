package handoff

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// TestALastRoundIsNotTakenForAnEarlierOne: an attempt of the same number may have been here before the store of the
// control service went back, and its last round may be there yet.
func TestALastRoundIsNotTakenForAnEarlierOne(t *testing.T) {
	h := &Handoff{Move: cluster.Move{ID: "m", Attempt: 2}}
	earlier := h.finalName()
	time.Sleep(time.Millisecond)
	later := h.finalName()
	if earlier == later || !(cluster.Snapshot{Name: later}).Final() {
		t.Errorf("the last rounds are %s and %s", earlier, later)
	}
}
