package control

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
)

// Moves returns every move on record: open ones first, oldest first; then those that have ended,
// newest first.
func (s *Service) Moves() []cluster.Move {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.movesEndedAfter(time.Time{})
}

// movesEndedAfter returns the open moves and those that ended later. The caller holds mu.
func (s *Service) movesEndedAfter(t time.Time) []cluster.Move {
	out := []cluster.Move{}
	for _, m := range s.model.openMoves() {
		out = append(out, s.progress[m.ID].merge(m))
	}
	open := len(out)
	for _, r := range s.model.moves.rows {
		if r.value.Phase.Ended() && r.value.Ended.After(t) {
			out = append(out, r.value)
		}
	}
	slices.SortFunc(out[open:], func(a, b cluster.Move) int {
		return cmp.Or(b.Ended.Compare(a.Ended), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// beginMove makes a move if a volume is not where the user wants it and none is under way.
func (d *draft) beginMove(id cluster.VolumeID) {
	v, _ := d.volumes.get(id)
	o, _ := d.ownerships.get(id)
	_, open := d.openMove(id)
	if _, known := d.nodes.get(v.Primary); open || v.Deleted || !known || v.Primary == o.Owner {
		return
	}
	m := cluster.Move{ID: cluster.MoveID(cluster.NewUUID()), Volume: id, From: o.Owner, To: v.Primary,
		Epoch: o.Epoch, Phase: cluster.PhaseWaiting, Attempt: 1, Requested: now()}
	if app, ok := d.user(id); ok {
		m.Application = app.Name
	}
	d.opened[id] = m.ID
	// Two services that begin a move at once both take the id of this event: only one succeeds.
	d.tell(m, "move requested", "%s is to move from %s to %s", d.model.mover(m), d.model.node(m.From), d.model.node(m.To))
	d.advanceWaiting(m)
}

// advance applies to an open move what follows from time, reports and the configuration.
func (d *draft) advance(m cluster.Move, v cluster.Volume, o cluster.Ownership) {
	if m.Phase.Committed() {
		d.advancePromotion(m, o)
		return
	}
	if why := d.unwanted(m, v); why != "" && !m.Aborting {
		m.Aborting, m.Reason = true, why
		d.putMove(m)
	}
	if m.Phase == cluster.PhaseWaiting {
		d.advanceWaiting(m)
		return
	}
	if why := d.overdue(m); why != "" {
		d.fail(m, why, false)
	}
}

// unwanted says why nobody wants a move any more; empty if it is wanted.
func (d *draft) unwanted(m cluster.Move, v cluster.Volume) string {
	switch {
	case v.Deleted:
		return "the volume was deleted"
	case v.Primary == m.From:
		return fmt.Sprintf("the configuration wants it to stay on %s", d.model.node(m.From))
	case v.Primary != m.To:
		return fmt.Sprintf("the configuration wants it on %s now", d.model.node(v.Primary))
	}
	return ""
}

// advanceWaiting starts the next attempt of a move if nothing forbids it.
func (d *draft) advanceWaiting(m cluster.Move) {
	if m.Aborting {
		d.rollBack(m, m.Reason) // no attempt is under way that would have to be undone
		return
	}
	v, _ := d.volumes.get(m.Volume)
	switch why := d.leased(m); {
	case why != "":
		m.Reason = why
	case d.rollingBack(v):
		m.Reason = fmt.Sprintf("its volume goes back to snapshot %s first", v.Rollback.Snapshot)
	case now().Before(m.NotBefore):
	default:
		m = d.started(m)
	}
	d.putMove(m)
}

// started returns the move with its attempt begun.
func (d *draft) started(m cluster.Move) cluster.Move {
	m.Phase, m.Reason, m.NotBefore = cluster.PhasePrepare, "", time.Time{}
	m.Deadline = now().Add(d.service.options.Timing.prepare())
	if m.Started.IsZero() {
		m.Started = now()
	}
	return m
}

// advancePromotion ends a committed move once its target serves. There is no way back: late, it
// only says what is missing.
func (d *draft) advancePromotion(m cluster.Move, o cluster.Ownership) {
	missing := d.missing(m, o)
	switch {
	case missing == "":
		d.done(m)
	case now().Sub(m.Committed) > d.service.options.Timing.promote():
		m.Reason = missing
		d.putMove(m)
	}
}

// missing says what the new owner has not reported yet; empty if it serves.
func (d *draft) missing(m cluster.Move, o cluster.Ownership) string {
	to := d.model.node(o.Owner)
	c, exists := d.service.copiesOf(m.Volume)[o.Owner]
	if !exists || c.Role != cluster.Primary || c.Epoch != o.Epoch || !c.Open {
		return fmt.Sprintf("%s has not opened the volume yet", to)
	}
	app, used := d.user(m.Volume)
	if !used || app.Node == "" {
		return ""
	}
	if seen := d.service.sight(o.Owner, app.Name, o.Epoch); !seen.healthy {
		return fmt.Sprintf("%s is not healthy on %s yet: %s", app.Name, to, seen.reason)
	}
	return ""
}

// done ends a move that has happened.
func (d *draft) done(m cluster.Move) {
	m.Phase, m.Ended, m.Reason = cluster.PhaseDone, now(), ""
	m.Figures.Promote = m.Ended.Sub(m.Committed)
	m.Figures.Pause = m.Ended.Sub(m.Held)
	d.putMove(m)
	d.tell(m, "moved", "%s moved from %s to %s: %s", d.model.mover(m), d.model.node(m.From), d.model.node(m.To), account(m))
}

// account puts the figures of a move that has happened into words.
func account(m cluster.Move) string {
	f := m.Figures
	return fmt.Sprintf("%s shipped while it ran (rounds: %d), %s while it was stopped; clients waited %s",
		size(f.PrecopiedBytes()), len(f.Rounds), size(f.Final.Bytes), f.Pause.Round(time.Millisecond))
}

// size writes a number of bytes as people read it.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	default:
		return fmt.Sprintf("%d bytes", bytes)
	}
}
