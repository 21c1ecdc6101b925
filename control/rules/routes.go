package rules

import (
	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
)

// A situation is all that the routes of one application follow from.
type situation struct {
	app   cluster.Application
	epoch cluster.Epoch
	// owner is what the node says that shall serve it: the owner of its volume, or without one
	// the node where it is placed.
	owner view.Sighting
	// leaving is what the node says that serves it until the owner does; nil if there is none.
	leaving *view.Sighting
	// move is the open move of its volume; nil if there is none.
	move *cluster.Move
	// previous are the routes as they are, by external port.
	previous map[int]cluster.Route
}

// routes derives the routes of the application. They follow what is known of the one node that
// may serve it; what is not known changes no route.
func (s situation) routes() []cluster.Route {
	var out []cluster.Route
	for _, port := range s.app.Ports {
		out = append(out, s.route(port))
	}
	return out
}

func (s situation) route(port cluster.Port) cluster.Route {
	last, existed := s.previous[port.External]
	forward := cluster.Route{External: port.External, Application: s.app.Name, Mode: cluster.Forward, Epoch: s.epoch}
	hold := cluster.Route{External: port.External, Application: s.app.Name, Mode: cluster.Hold, Epoch: s.epoch, Endpoint: last.Endpoint}

	moving := s.move != nil && s.move.Phase.Holds()
	promoted := s.move != nil && s.move.Phase.Committed()
	endpoint := s.owner.Endpoint(port)
	switch {
	case moving && !(promoted && endpoint != ""):
		hold.Move = s.move.ID
		return hold
	case endpoint != "":
		forward.Endpoint = endpoint
		return forward
	case s.leaving != nil && s.leaving.Endpoint(port) != "":
		forward.Endpoint = s.leaving.Endpoint(port)
		return forward
	case s.owner.Known && (s.leaving == nil || s.leaving.Known), !existed:
		return hold
	case last.Move != "" && last.Endpoint != "":
		// The move that held it is over, or its attempt is: back to where it led before.
		last.Mode, last.Move = cluster.Forward, ""
		return last
	}
	last.Move = ""
	return last
}

// reconcileApplication derives the routes of an application anew, and drops those that it no longer
// has.
func (w *Write) reconcileApplication(name cluster.AppName) {
	app, exists := w.Applications.Get(name)
	w.reconcileDrain(name, app)
	kept := map[int]bool{}
	if s, placed := w.situation(app); exists && placed {
		for _, r := range s.routes() {
			kept[r.External] = true
			w.Routes.Put(r)
		}
	}
	was, _ := w.View.Model.Applications.Get(name)
	for _, port := range was.Ports {
		if r, ok := w.Routes.Get(port.External); ok && r.Application == name && !kept[port.External] {
			w.Routes.Drop(port.External)
		}
	}
}

// situation collects what the routes of an application follow from, and reports whether it is
// placed anywhere at all.
func (w *Write) situation(app cluster.Application) (situation, bool) {
	s := situation{app: app, previous: map[int]cluster.Route{}}
	for _, port := range app.Ports {
		if r, ok := w.Routes.Get(port.External); ok && r.Application == app.Name {
			s.previous[port.External] = r
		}
	}
	owner := app.Node
	if app.Volume != nil {
		o, later := w.owner(app.Volume.Volume)
		owner, s.epoch = o.Owner, o.Epoch
		if m, ok := w.openMove(app.Volume.Volume); ok && !later {
			s.move = &m
		}
	}
	if left, ok := w.Drains.Get(app.Name); ok {
		seen := w.sight(left.Node, app.Name, 0)
		s.leaving = &seen
	}
	s.owner = w.sight(owner, app.Name, s.epoch)
	return s, owner != "" || app.Node != ""
}

// reconcileDrain notes from where an application without a volume goes on being served while it
// is not healthy where it is placed now.
func (w *Write) reconcileDrain(name cluster.AppName, app cluster.Application) {
	left, leaving := w.Drains.Get(name)
	was, _ := w.View.Model.Applications.Get(name)
	placed := app.Volume == nil && app.Node != ""
	switch {
	case leaving && (!placed || left.Node == app.Node || !w.known(left.Node) || w.settled(app)):
		w.dropDrain(left)
	case !leaving && placed && was.Volume == nil && was.Node != app.Node && w.known(was.Node):
		w.putDrain(records.Drain{Application: name, Node: was.Node})
	}
}

// sight returns what a node says of an application. One that was removed serves nothing.
func (w *Write) sight(node cluster.NodeID, name cluster.AppName, epoch cluster.Epoch) view.Sighting {
	if _, removed := w.Removed.Get(node); removed {
		return view.Sighting{Known: true, Reason: "its node was removed"}
	}
	return w.View.Sight(node, name, epoch)
}

// settled reports whether an application without a volume does where it is placed what it is to do, and
// has for so long that it may be taken away elsewhere.
func (w *Write) settled(app cluster.Application) bool {
	seen := w.sight(app.Node, app.Name, 0)
	return seen.Healthy && seen.Settling == ""
}
