package sim

import (
	"sync"
	"time"
)

// A clock is what a host shows as the time. It is off, goes too fast or too slow, and is set now and then. What
// waits on that host goes by the world's time.
type clock struct {
	began time.Time

	mu    sync.Mutex
	ahead time.Duration
	drift float64 // seconds in a second
}

// newClock returns a clock that is off by up to a minute, if clocks are.
func newClock(w *world, of string) *clock {
	c := &clock{began: w.began}
	if d := w.dice("clock of " + of); !w.without("clock") {
		c.ahead, c.drift = d.between(-time.Minute, time.Minute), float64(d.below(2001)-1000)/1e6
	}
	return c
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return now.Add(c.ahead + time.Duration(float64(now.Sub(c.began))*c.drift))
}

// jump sets the clock by so much.
func (c *clock) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
}

// jumps are by how much clocks are set.
func jump(d *dice) time.Duration {
	by := d.between(time.Second, 90*time.Second)
	switch d.below(4) {
	case 0:
		by = time.Hour
	case 1:
		by = 10 * 24 * time.Hour
	}
	if d.one(2) {
		by = -by
	}
	return by
}
