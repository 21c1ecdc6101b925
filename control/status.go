package control

import (
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Status returns the cluster at a glance.
func (s *Service) Status() wire.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := wire.Status{
		Revision:      s.model.head,
		Nodes:         s.nodeStatuses(),
		Configuration: s.model.configuration().Clone(),
		Ownerships:    map[cluster.VolumeID]cluster.Ownership{},
		Moves:         s.movesEndedAfter(now().Add(-recentlyEnded)),
		Routes:        slices.AppendSeq([]cluster.Route{}, s.model.routes.all()),
		Pending:       s.pending(),
	}
	for id, r := range s.model.ownerships.rows {
		status.Ownerships[id] = r.value
	}
	status.Converged = len(status.Pending) == 0
	return status
}
