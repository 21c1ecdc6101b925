package proxy

import "time"

// The pauses between two attempts to reach an endpoint: each is twice the last.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// A wait is what a connection goes through until it is connected: holds, and endpoints that do
// not answer.
type wait struct {
	counters *counters
	patience time.Duration

	began time.Time // when it began; zero: it did not have to wait yet
	asked time.Time // since when the endpoint has not answered; zero: it was not asked
	pause time.Duration
}

// lookEvery is how often a client that is held is looked at: one that has left takes up nobody's room.
const lookEvery = time.Second

// held waits until the gate moves. The gate sees to it that it does. It returns false at once when the
// client has left.
func (w *wait) held(v View, left func() bool) bool {
	w.begin(time.Now())
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-v.Moved:
			w.asked, w.pause = time.Time{}, 0
			return true
		case <-look.C:
			if left() {
				return false
			}
		}
	}
}

// ask notes that the endpoint is asked now.
func (w *wait) ask() {
	if w.asked.IsZero() {
		w.asked = time.Now()
	}
}

// again waits until it makes sense to look at the gate and try again: until the gate moves, or
// for a short time. It returns false when patience is over, which is counted from when the
// endpoint was first asked in vain, or from the first wait where there is no endpoint.
func (w *wait) again(v View) bool {
	w.ask()
	w.begin(w.asked)
	since := w.asked
	if v.Endpoint == "" {
		since = w.began
	}
	left := time.Until(since.Add(w.patience))
	if left <= 0 {
		return false
	}
	w.pause = min(max(2*w.pause, firstPause), lastPause)
	pause := left
	if v.Endpoint != "" {
		pause = min(w.pause, left)
	}
	select {
	case <-v.Moved:
		w.pause = 0
	case <-time.After(pause):
	}
	return true
}

func (w *wait) begin(at time.Time) {
	if w.began.IsZero() {
		w.began = at
		w.counters.held.Add(1)
	}
}

// waited reports whether there was anything to wait for.
func (w *wait) waited() bool { return !w.began.IsZero() }

// end closes the account.
func (w *wait) end() {
	if !w.began.IsZero() {
		w.counters.held.Add(-1)
		w.counters.waited(time.Since(w.began))
	}
}
