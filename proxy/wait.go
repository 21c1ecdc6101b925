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

	began   time.Time // the first time that it had to wait; zero: not yet
	failing time.Time // since when the endpoint has not answered; zero: it was not asked
	pause   time.Duration
}

// held waits until the gate moves. The gate sees to it that it does.
func (w *wait) held(v View) {
	w.begin()
	<-v.Moved
	w.failing, w.pause = time.Time{}, 0
}

// again waits until it makes sense to look at the gate and try again: until the gate moves, or
// for a short time. It returns false when patience is over, which is counted from when the
// endpoint first did not answer, or from the first wait where there is no endpoint.
func (w *wait) again(v View) bool {
	w.begin()
	if w.failing.IsZero() {
		w.failing = time.Now()
	}
	since := w.failing
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

func (w *wait) begin() {
	if w.began.IsZero() {
		w.began = time.Now()
		w.counters.held.Add(1)
	}
}

// end closes the account.
func (w *wait) end() {
	if !w.began.IsZero() {
		w.counters.held.Add(-1)
		w.counters.waited(time.Since(w.began))
	}
}
