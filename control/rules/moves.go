package rules

import (
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
)

// beginMove makes a move if a volume is not where the user wants it and none is under way.
func (w *Write) beginMove(id cluster.VolumeID) {
	v, _ := w.Volumes.Get(id)
	o, _ := w.Ownerships.Get(id)
	_, open := w.openMove(id)
	if open || v.Deleted || v.Primary == o.Owner || !w.known(v.Primary) || !w.known(o.Owner) {
		return
	}
	m := cluster.Move{ID: cluster.MoveID(w.View.NewID()), Volume: id, Name: v.Name, From: o.Owner, To: v.Primary,
		Epoch: o.Epoch, Phase: cluster.PhaseWaiting, Attempt: 1, Requested: w.View.Wall}
	if app, ok := w.User(id); ok {
		m.Application = app.Name
	}
	w.Opened[id] = m.ID
	// Two services that begin a move at once both take the id of this event: only one succeeds.
	w.tell(m, "move requested", "%s is to move from %s to %s", w.Mover(m), w.Node(m.From), w.Node(m.To))
	w.advanceWaiting(m)
}

// advance applies to an open move what follows from time, reports and the configuration.
func (w *Write) advance(m cluster.Move, v cluster.Volume, o cluster.Ownership) {
	if m.Phase.Committed() {
		w.advancePromotion(m, v, o)
		return
	}
	if why := w.unwanted(m, v); why != "" && !m.Aborting {
		m.Aborting, m.Reason = true, why
		w.putMove(m)
	}
	if m.Phase == cluster.PhaseWaiting {
		w.advanceWaiting(m)
		return
	}
	if why := w.overdue(m); why != "" {
		w.fail(m, why, false)
	}
}

// unwanted says why nobody wants a move any more; empty if it is wanted.
func (w *Write) unwanted(m cluster.Move, v cluster.Volume) string {
	switch {
	case v.Deleted:
		return "the volume was deleted"
	case v.Primary == m.From:
		return fmt.Sprintf("the configuration wants it to stay on %s", w.Node(m.From))
	case v.Primary != m.To:
		return fmt.Sprintf("the configuration wants it on %s now", w.Node(v.Primary))
	}
	return ""
}

// advanceWaiting starts the next attempt of a move if nothing forbids it.
func (w *Write) advanceWaiting(m cluster.Move) {
	if m.Aborting {
		w.rollBack(m, m.Reason) // no attempt is under way that would have to be undone
		return
	}
	if why := w.stranded(m); why != "" {
		w.rollBack(m, why)
		return
	}
	v, _ := w.Volumes.Get(m.Volume)
	switch why := w.leased(m); {
	case why != "":
		m.Reason = why
	case w.rollingBack(v):
		m.Reason = fmt.Sprintf("its volume goes back to snapshot %s first", v.Rollback.Snapshot)
	case w.View.Now.Before(m.NotBefore):
	default:
		m = w.started(m)
	}
	w.putMove(m)
}

// started returns the move with its attempt begun.
func (w *Write) started(m cluster.Move) cluster.Move {
	m.Phase, m.Reason, m.NotBefore = cluster.PhasePrepare, "", time.Time{}
	m.Deadline = w.View.Now.Add(w.View.Timing.Prepare)
	if m.Started.IsZero() {
		m.Started = w.View.Wall
	}
	return m
}

// advancePromotion ends a committed move once its target serves. There is no way back: late, it
// only says what is missing; unless the target has lost its copy, and an operator has chosen how to go on.
func (w *Write) advancePromotion(m cluster.Move, v cluster.Volume, o cluster.Ownership) {
	missing := w.missing(m, o)
	switch {
	case v.Deleted:
		w.doneDeleted(m)
	case o.Epoch != m.Epoch+1:
		w.overtaken(m, o)
	case missing == "":
		w.done(m)
	default:
		loss := w.loss(o)
		if loss.Found {
			missing = fmt.Sprintf("%s cannot open the volume: %s; `drover status` says what to do", w.Node(o.Owner), loss.What)
		}
		if loss.Found || w.View.Now.Sub(m.Committed) > w.View.Timing.Promote {
			m.Reason = missing
			w.putMove(m)
		}
	}
}

// overtaken ends a committed move whose target lost its copy before it served.
func (w *Write) overtaken(m cluster.Move, o cluster.Ownership) {
	m.Phase, m.Ended = cluster.PhaseRolledBack, w.View.Wall
	m.Reason = fmt.Sprintf("%s lost its copy before it served; %s went on from its replica", w.Node(m.To), w.Node(o.Owner))
	w.putMove(m)
	w.tell(m, "rolled back", "%s did not get to %s: %s", w.Mover(m), w.Node(m.To), m.Reason)
}

// onItsWay returns the open move of a volume, unless that is committed and its target says that it cannot
// use what has arrived: such a move ends with what an operator does about that.
func (w *Write) onItsWay(id cluster.VolumeID) (cluster.Move, bool) {
	m, open := w.openMove(id)
	if !open || !m.Phase.Committed() {
		return m, open
	}
	o, _ := w.Ownerships.Get(id)
	loss := w.loss(o)
	// What was reported before the commit is not of the copy that there is now.
	sure := loss.Found || w.View.Now.Sub(m.Committed) > w.View.Timing.Promote
	return m, loss.Unknown != "" || loss.What == "" || !sure
}

// missing says what the new owner has not reported yet; empty if it serves.
func (w *Write) missing(m cluster.Move, o cluster.Ownership) string {
	to := w.Node(o.Owner)
	c, exists := w.View.Copies(m.Volume)[o.Owner]
	if !exists || c.Role != cluster.Primary || c.Epoch != o.Epoch || !c.Open {
		return fmt.Sprintf("%s has not opened the volume yet", to)
	}
	app, used := w.User(m.Volume)
	if !used || app.Node == "" {
		return ""
	}
	if seen := w.sight(o.Owner, app.Name, o.Epoch); !seen.Healthy {
		return fmt.Sprintf("%s is not healthy on %s yet: %s", app.Name, to, seen.Reason)
	}
	return ""
}

// done ends a move that has happened.
func (w *Write) done(m cluster.Move) {
	m.Phase, m.Ended, m.Reason = cluster.PhaseDone, w.View.Wall, ""
	m.Stats.Promote = w.View.Now.Sub(m.Committed)
	m.Stats.Pause = w.View.Now.Sub(m.Held)
	w.putMove(m)
	w.tell(m, "moved", "%s moved from %s to %s: %s", w.Mover(m), w.Node(m.From), w.Node(m.To), account(m))
}

// doneDeleted ends a move whose volume nobody will open any more.
func (w *Write) doneDeleted(m cluster.Move) {
	m.Phase, m.Ended, m.Reason = cluster.PhaseDone, w.View.Wall, "the volume was deleted before it was opened there"
	w.putMove(m)
	w.tell(m, "moved", "%s moved from %s to %s: %s", w.Mover(m), w.Node(m.From), w.Node(m.To), m.Reason)
}

// account puts the figures of a move that has happened into words.
func account(m cluster.Move) string {
	f := m.Stats
	text := fmt.Sprintf("%s shipped while it ran (rounds: %d), %s while it was stopped; clients waited %s",
		size(f.PrecopiedBytes()), len(f.Rounds), size(f.Final.Bytes), f.Pause.Round(time.Millisecond))
	if f.Proof != "" {
		text += "; proof: " + f.Proof
	}
	return text
}

// size writes a number of bytes as people read it.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	default:
		return cluster.Count(bytes, "byte")
	}
}
