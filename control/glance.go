package control

import (
	"reflect"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/assign"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/view"
)

// A glance is everything at one instant. It is taken under the service's mu, at a cost that does not grow with the
// cluster, and looked at without: who walks over the cluster keeps nobody waiting.
//
// The model in it never changes. What nodes said is in maps that are copied where they change, see records.Map, and
// their values are replaced, not changed, once they may have been shown, see Service.change.
type glance struct {
	view.View
	standings records.Map[cluster.NodeID, *standing]
	// shared is the revision of what all nodes are told.
	shared cluster.Revision
}

// A standing is what a session shows of a node.
type standing struct {
	view.Node
	own cluster.Assignment // its own part, as last derived
	// revision is that of own and of the logs that are wanted, configured that of own alone: a node that lags
	// behind with logs only has done all that the configuration asks of it.
	revision, configured cluster.Revision
	stale                bool // own may no longer be right

	// turnedAway is the process that was refused as the node last.
	turnedAway refusal
}

// glance returns everything as it is now.
func (s *Service) glance() glance {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown++
	v := s.view()
	v.Seen = v.Seen.Clone()
	return glance{v, s.standings.Clone(), s.shared.revision}
}

// change returns the standing of a node for a change, which no earlier glance shows. The caller holds mu.
func (s *Service) change(n *session) *standing {
	if n.made != s.shown {
		is := *n.standing
		s.show(n, &is)
	}
	return n.standing
}

func (s *Service) show(n *session, is *standing) {
	n.standing, n.made = is, s.shown
	s.standings.Put(n.id, is)
	s.seen.Nodes.Put(n.id, &is.Node)
}

// told returns what a node is told. If that is yet to be derived, and has changed, nobody can have acted on it.
func (g glance) told(id cluster.NodeID) report.Told {
	n := g.standings.At(id)
	told := report.Told{Assignment: n.own, Revision: max(n.revision, g.shared), Due: n.configured, Shared: g.shared, Acknowledged: n.Acknowledged}
	if !n.stale {
		return told
	}
	if own := assign.To(g.View, id); n.revision == 0 || !reflect.DeepEqual(own, n.own) {
		told.Assignment, told.Due = own, view.Never
	}
	return told
}
