package rules

import (
	"fmt"

	"github.com/drover/drover/cluster"
)

// mayLeave says what data an application would leave behind on a node, as that reported, that no
// volume carries; nil if there are none. Of a node that is not in touch nothing is known, and what is
// lost with it is lost.
func (w *Write) mayLeave(app cluster.Application, node cluster.NodeID) error {
	return app.MayLeave(w.Node(node), w.View.Keeps(node, app.Name))
}

// mayStart is mayLeave for an application that is placed on a node without a move: one that is stopped
// left its data where it ran, and nobody else says where that was. Where it has some it may start.
func (w *Write) mayStart(app cluster.Application, from, to cluster.NodeID) error {
	switch {
	case from != "":
		return w.mayLeave(app, from)
	case len(w.View.Keeps(to, app.Name)) > 0:
		return nil
	}
	for n := range w.Nodes.All() {
		if err := w.mayLeave(app, n.ID); err != nil && n.ID != to {
			return err
		}
	}
	return nil
}

// stranded says why a move cannot be: its two agents do not understand each other, or its application keeps data
// apart from the volume. Empty: it can.
func (w *Write) stranded(m cluster.Move) string {
	from, known := w.Nodes.Get(m.From)
	to, also := w.Nodes.Get(m.To)
	if older := to; known && also && from.Streams != to.Streams {
		if from.Streams < to.Streams {
			older = from
		}
		return fmt.Sprintf("the agents of %s (%s) and %s (%s) do not read each other's streams: upgrade that of %s first",
			w.Node(m.From), from.Version, w.Node(m.To), to.Version, w.Node(older.ID))
	}
	app, used := w.User(m.Volume)
	if !used {
		return ""
	}
	return withHint(w.mayLeave(app, m.From))
}

// withHint puts an error and its hint into one sentence, for what is told as text; empty for nil.
func withHint(err error) string {
	if err == nil {
		return ""
	}
	return cluster.Told(err, nil)
}

// strandedProblem is what is wrong with placing an application on another node: what it has would be left
// behind. A move of one that runs is refused by itself, and leaves it running; of one that is stopped it would
// start it where it was.
func (w *Write) strandedProblem(next cluster.Application) cluster.Problems {
	was, existed := w.Applications.Get(next.Name)
	moves := was.Volume != nil && next.Volume != nil && was.Volume.Volume == next.Volume.Volume
	if !existed || next.Node == "" || was.Node == next.Node || moves && was.Node != "" {
		return nil
	}
	from := was.Node
	if moves {
		o, _ := w.Ownerships.Get(next.Volume.Volume)
		if from = o.Owner; from == next.Node {
			return nil
		}
	}
	if why := withHint(w.mayStart(next, from, next.Node)); why != "" {
		return cluster.Problems{{Path: fmt.Sprintf("applications.%s.node", next.Name), Message: why}}
	}
	return nil
}
