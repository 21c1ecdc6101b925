package view

import (
	"cmp"

	"github.com/drover/drover/cluster"
)

// A Sighting is what a node says of an application.
type Sighting struct {
	// Known: the node is in touch, and has reported since the service started.
	Known bool
	// Healthy: it runs there, at the epoch in question, and serves.
	Healthy   bool
	Endpoints map[int]string
	Reason    string // why it is not healthy, for people
	Settling  string // why it is not what is wanted yet, though it is healthy
}

// Endpoint returns where a port is served; empty if it is not.
func (s Sighting) Endpoint(p cluster.Port) string {
	if !s.Known || !s.Healthy {
		return ""
	}
	return s.Endpoints[p.Internal]
}

// Sight returns what a node says of an application at an epoch.
func (v View) Sight(node cluster.NodeID, name cluster.AppName, epoch cluster.Epoch) Sighting {
	state := v.State(node)
	if state == nil {
		return Sighting{Reason: "its node has not been heard of"}
	}
	for _, a := range state.Applications {
		if a.Name != name {
			continue
		}
		switch {
		case a.Epoch != epoch:
			return Sighting{Known: true, Reason: "it was started before the volume's owner changed"}
		case !a.Healthy:
			return Sighting{Known: true, Reason: cmp.Or(a.Reason, "its node does not say why")}
		}
		return Sighting{Known: true, Healthy: true, Endpoints: a.Endpoints, Settling: a.Settling}
	}
	return Sighting{Known: true, Reason: "it has not been started"}
}
