package rules

import "time"

// Start writes down that the service starts. Of what an earlier one left to wait for, nothing lies further
// ahead than this one would wait, or was done later than now: the host's clock may have been set back since.
func (w *Write) Start() {
	w.Tx.Start(w.View.Now)
	timing := w.View.Timing
	for id := range w.View.Model.Index.Open.Keys() {
		m, open := w.OpenMove(id)
		if !open {
			continue
		}
		m.NotBefore = earlier(m.NotBefore, w.View.Now.Add(timing.BackoffAfter(m.Attempt-1)))
		m.Deadline = earlier(m.Deadline, w.View.Now.Add(max(timing.Prepare, timing.Precopy, timing.CutOver)))
		m.Held, m.Committed = earlier(m.Held, w.View.Now), earlier(m.Committed, w.View.Now)
		w.PutMove(m)
	}
}

// earlier returns the earlier time; of none, none.
func earlier(t, most time.Time) time.Time {
	if t.After(most) {
		return most
	}
	return t
}
