package rules

import (
	"fmt"

	"github.com/drover/drover/cluster"
)

// disproved takes the proof from a committed move whose target has been told by an operator to go on from
// something else than what was committed.
func (w *Write) disproved(m cluster.Move, o cluster.Ownership) cluster.Move {
	a := w.View.Copies(o.Volume)[m.To].Accepted
	if m.Phase != cluster.PhasePromote || o.Owner != m.To || a == nil || a.Head == "" || a.Head != o.Base || m.Stats.Accepted != "" {
		return m
	}
	m.Stats.Proof = ""
	m.Stats.Accepted = fmt.Sprintf("an operator has accepted something else on %s than what was committed (%s); what was committed is the replica on %s",
		w.Node(m.To), a.Although, w.Node(m.From))
	w.putMove(m)
	return m
}
