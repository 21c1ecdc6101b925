package convergence

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/drover/drover/internal/durable"
)

// A trashClock tells what has been in the trash, or a replica, for long enough, on a host whose clock may be wrong: years ahead
// after a boot, say. It counts for how long the agent has run by a clock that does not jump, and notes what the
// host's clock, by which the trash is labeled, showed meanwhile:
//
//	counted  0h    1h    2h    ...   168h
//	wall     12:00 13:00 14:00 ...   2099
//
// Of what is labeled earlier than anything that the clock has shown for the whole grace period it is certain
// that it was there before that. While the agent does not run nothing is counted, so things stay longer.
type trashClock struct {
	Counted time.Duration `json:"counted"`
	Notes   []clockNote   `json:"notes"`
}

// A clockNote is what the host's clock showed.
type clockNote struct {
	Counted time.Duration `json:"counted"`
	Wall    time.Time     `json:"wall"`
}

// note counts on, and notes what the clock shows. What is older than the grace period is forgotten but for
// the last note.
func (c *trashClock) note(passed time.Duration, wall time.Time, grace time.Duration) {
	c.Counted += passed
	c.Notes = append(c.Notes, clockNote{c.Counted, wall})
	if began := c.began(grace); began > 0 {
		c.Notes = slices.Delete(c.Notes, 0, began)
	}
}

// began returns the index of the last note that is as old as the grace period; -1: there is none.
func (c *trashClock) began(grace time.Duration) int {
	last := -1
	for i, n := range c.Notes {
		if c.Counted-n.Counted >= grace {
			last = i
		}
	}
	return last
}

// before returns the label up to which all has been in the trash for its grace period.
func (c *trashClock) before(grace time.Duration) (time.Time, bool) {
	began := c.began(grace)
	if began < 0 {
		return time.Time{}, false
	}
	earliest := c.Notes[began].Wall
	for _, n := range c.Notes[began:] {
		if n.Wall.Before(earliest) {
			earliest = n.Wall
		}
	}
	return earliest, true
}

// loadTrashClock reads what was counted before. Without that, counting begins anew.
func loadTrashClock(path string) (trashClock, error) {
	var c trashClock
	err := durable.ReadJSON(path, &c)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return trashClock{}, err
	}
	return c, nil
}

func (c *trashClock) save(path string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, text, 0o600)
}
