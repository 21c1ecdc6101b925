package convergence

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/volume"
)

// TestAWrongClockEmptiesNoTrash: what was just removed stays for its grace period, whatever the host's clock shows
// before, after or meanwhile.
func TestAWrongClockEmptiesNoTrash(t *testing.T) {
	const grace = 7 * 24 * time.Hour
	real := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	// showing is a clock that runs for so many hours, ahead by that.
	type showing struct {
		hours int
		ahead time.Duration
	}
	year := 365 * 24 * time.Hour
	for what, row := range map[string]struct {
		before, after []showing // its removal
		gone          bool
	}{
		"right, and not long enough":         {[]showing{{400, 0}}, []showing{{167, 0}}, false},
		"right":                              {[]showing{{400, 0}}, []showing{{169, 0}}, true},
		"new: nothing is known of before":    {nil, []showing{{100, 0}}, false},
		"new, and long enough":               {[]showing{{1, 0}}, []showing{{170, 0}}, true},
		"it jumps ahead":                     {[]showing{{400, 0}}, []showing{{1, 0}, {100, year}}, false},
		"it jumps ahead and back":            {[]showing{{400, 0}}, []showing{{1, year}, {100, 0}}, false},
		"ahead for good":                     {[]showing{{400, 0}}, []showing{{1, 0}, {336, year}}, true},
		"it was behind when it was removed":  {[]showing{{400, 0}, {1, -year}}, []showing{{1, -year}, {100, 0}}, false},
		"it was behind, and long enough ago": {[]showing{{400, 0}, {1, -year}}, []showing{{1, -year}, {338, 0}}, true},
	} {
		t.Run(what, func(t *testing.T) {
			var clock trashClock
			now, wall := real, real
			run := func(shown []showing) {
				for _, s := range shown {
					for range s.hours {
						wall = now.Add(s.ahead)
						clock.note(time.Hour, wall, grace)
						now = now.Add(time.Hour)
					}
				}
			}
			run(row.before)
			label := wall.Add(time.Minute)
			if len(row.before) == 0 {
				label = now
			}
			run(row.after)
			before, known := clock.before(grace)
			if gone := known && label.Before(before); gone != row.gone {
				t.Errorf("removed at %s by its clock; all before %s (%t) goes", label, before, known)
			}
			if len(clock.Notes) > 170 {
				t.Errorf("%d notes are kept", len(clock.Notes))
			}
		})
	}
}

// TestThePurgeGoesByWhatWasCounted, also by what an earlier agent did.
func TestThePurgeGoesByWhatWasCounted(t *testing.T) {
	a, h := newVolumeAgent(t)
	if err := h.Create(t.Context(), data, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	stays := func() bool {
		trash, err := h.Trash(t.Context())
		return err == nil && len(trash) == 1
	}
	wrong := time.Now().Add(10 * 365 * 24 * time.Hour)
	wall := wrong
	a.Clock = func() time.Time { return wall }
	if err := a.purgeOnce(t.Context()); err != nil || !stays() {
		t.Fatalf("at the start with a wrong clock: %v, stays %t", err, stays())
	}
	for hours := range 2 * 7 * 24 {
		wall = wrong.Add(time.Duration(hours) * time.Hour)
		a.shown.at = a.shown.at.Add(-time.Hour)
		if err := a.purgeOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if hours < 7*24-1 && !stays() {
			t.Fatalf("it is gone after %d hours", hours)
		}
	}
	if stays() {
		t.Error("it stays for ever")
	}
}

// TestAClockThatCannotBeReadCountsAnew: to purge later harms nobody.
func TestAClockThatCannotBeReadCountsAnew(t *testing.T) {
	a, _ := newVolumeAgent(t)
	if err := os.WriteFile(filepath.Join(a.Dir, trashClockFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.shown.at = time.Now().Add(-time.Hour)
	if err := a.purgeOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := loadTrashClock(filepath.Join(a.Dir, trashClockFile)); err != nil || c.Counted.Round(time.Minute) != time.Hour {
		t.Errorf("counted %v, %v", c.Counted, err)
	}
}

// TestWhatIsRemovedByAWrongClockStays: while an agent runs the clock is set back, a volume is removed, and the clock is
// set right before anybody has looked at it.
func TestWhatIsRemovedByAWrongClockStays(t *testing.T) {
	a, h := newVolumeAgent(t)
	wall := time.Now()
	a.Clock = func() time.Time { return wall }
	h.Backend.Clock = a.Clock
	for range 2 * 7 * 24 {
		wall, a.shown.at = wall.Add(time.Hour), a.shown.at.Add(-time.Hour)
		if err := a.purgeOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	right := wall
	wall = right.Add(-365 * 24 * time.Hour)
	if err := h.Create(t.Context(), data, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := a.removeVolume(t.Context(), plan.Step{Kind: plan.RemoveVolume, Volume: data}); err != nil {
		t.Fatal(err)
	}
	wall = right
	if err := a.purgeOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if trash, err := h.Trash(t.Context()); err != nil || len(trash) != 1 {
		t.Errorf("in the trash: %v, %v", trash, err)
	}
}
