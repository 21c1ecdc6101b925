package control

import (
	"cmp"

	"github.com/drover/drover/cluster"
)

// A sighting is what a node says of an application.
type sighting struct {
	// known: the node is in touch, and has reported since the service started.
	known bool
	// healthy: it runs there, at the epoch in question, and serves.
	healthy   bool
	endpoints map[int]string
	reason    string // why it is not healthy, for people
}

// A situation is all that the routes of one application follow from.
type situation struct {
	app   cluster.Application
	epoch cluster.Epoch
	// owner is what the node says that shall serve it: the owner of its volume, or without one
	// the node where it is placed.
	owner sighting
	// leaving is what the node says that serves it until the owner does; nil if there is none.
	leaving *sighting
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
	endpoint := s.owner.endpoint(port)
	switch {
	case moving && !(promoted && endpoint != ""):
		hold.Move = s.move.ID
		return hold
	case endpoint != "":
		forward.Endpoint = endpoint
		return forward
	case s.leaving != nil && s.leaving.endpoint(port) != "":
		forward.Endpoint = s.leaving.endpoint(port)
		return forward
	case s.owner.known && (s.leaving == nil || s.leaving.known), !existed:
		return hold
	case last.Move != "" && last.Endpoint != "":
		// The move that held it is over, or its attempt is: back to where it led before.
		last.Mode, last.Move = cluster.Forward, ""
		return last
	}
	last.Move = ""
	return last
}

// endpoint returns where the port is served; empty if it is not.
func (s sighting) endpoint(p cluster.Port) string {
	if !s.known || !s.healthy {
		return ""
	}
	return s.endpoints[p.Internal]
}

// sight returns what a node says of an application at an epoch.
func (s *Service) sight(node cluster.NodeID, name cluster.AppName, epoch cluster.Epoch) sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sightLocked(node, name, epoch)
}

func (s *Service) sightLocked(node cluster.NodeID, name cluster.AppName, epoch cluster.Epoch) sighting {
	n := s.sessions[node]
	if !s.inTouch(n, now()) || n.state == nil {
		return sighting{reason: "its node has not been heard of"}
	}
	for _, a := range n.state.Applications {
		if a.Name != name {
			continue
		}
		switch {
		case a.Epoch != epoch:
			return sighting{known: true, reason: "it was started before the volume's owner changed"}
		case !a.Healthy:
			return sighting{known: true, reason: cmp.Or(a.Reason, "its node does not say why")}
		}
		return sighting{known: true, healthy: true, endpoints: a.Endpoints}
	}
	return sighting{known: true, reason: "it has not been started"}
}

// settleApplication derives the routes of an application anew, and drops those that it no longer
// has.
func (d *draft) settleApplication(name cluster.AppName) {
	app, exists := d.applications.get(name)
	d.settleDeparture(name, app)
	kept := map[int]bool{}
	if s, placed := d.situation(app); exists && placed {
		for _, r := range s.routes() {
			kept[r.External] = true
			d.routes.put(r)
		}
	}
	was, _ := d.model.applications.get(name)
	for _, port := range was.Ports {
		if r, ok := d.routes.get(port.External); ok && r.Application == name && !kept[port.External] {
			d.routes.drop(port.External)
		}
	}
}

// situation collects what the routes of an application follow from, and reports whether it is
// placed anywhere at all.
func (d *draft) situation(app cluster.Application) (situation, bool) {
	s := situation{app: app, previous: map[int]cluster.Route{}}
	for _, port := range app.Ports {
		if r, ok := d.routes.get(port.External); ok && r.Application == app.Name {
			s.previous[port.External] = r
		}
	}
	owner := app.Node
	if app.Volume != nil {
		o, _ := d.ownerships.get(app.Volume.Volume)
		owner, s.epoch = o.Owner, o.Epoch
		if m, ok := d.openMove(app.Volume.Volume); ok {
			s.move = &m
		}
	}
	if left, ok := d.departures.get(app.Name); ok {
		seen := d.service.sight(left.Node, app.Name, 0)
		s.leaving = &seen
	}
	s.owner = d.service.sight(owner, app.Name, s.epoch)
	return s, owner != "" || app.Node != ""
}

// settleDeparture notes from where an application without a volume goes on being served while it
// is not healthy where it is placed now.
func (d *draft) settleDeparture(name cluster.AppName, app cluster.Application) {
	left, leaving := d.departures.get(name)
	was, _ := d.model.applications.get(name)
	placed := app.Volume == nil && app.Node != ""
	switch {
	case leaving && (!placed || left.Node == app.Node || d.service.sight(app.Node, name, 0).healthy):
		d.dropDeparture(left)
	case !leaving && placed && was.Volume == nil && was.Node != "" && was.Node != app.Node:
		d.putDeparture(departure{Application: name, Node: was.Node})
	}
}
