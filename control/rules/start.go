package rules

import (
	"cmp"
	"slices"
	"time"

	"github.com/drover/drover/control/records"
)

// keptLives is how many lives of the service are on record. It is a number, rather than those that a node may yet
// speak of, since that would be a write for each node and life; of nodes that were away for longer see View.Knows.
const keptLives = 1000

// Start writes down that a life of the service begins. Of what an earlier one left to wait for, nothing lies
// further ahead than this one would wait, or was done later than now: the host's clock may have been set back since.
func (w *Write) Start(life string) {
	w.Lives.Put(records.Life{ID: life, Began: w.View.Wall})
	ids := w.View.Model.Lives.IDs()
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(w.Lives.Written(a), w.Lives.Written(b)) })
	for _, id := range ids[:max(len(ids)+1-keptLives, 0)] {
		w.Lives.Drop(id)
	}
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
