package control

import "time"

// A clock tells two times: the one that the host shows, which people and networks set, forward and back, and
// the one that the service waits by, which began as that and goes on evenly.
type clock struct {
	host          func() time.Time
	began, opened time.Time // the same instant, by the host's clock and by one that does not jump
}

func newClock(host func() time.Time) clock {
	if host == nil {
		host = time.Now
	}
	c := clock{host: host, opened: time.Now()}
	c.began = c.wall()
	return c
}

// wall is the present as people know it, and as it is written down for them: in UTC.
func (c clock) wall() time.Time { return c.host().UTC().Round(0) }

// now is the present for whatever waits: who was heard of when, deadlines, back-offs.
func (c clock) now() time.Time { return c.began.Add(time.Since(c.opened)) }
