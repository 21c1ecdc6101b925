package control

import (
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/wire"
)

// Pending says what is missing until those are as configured.
func (s *Service) Pending(of wire.Subjects) (wire.Missing, error) {
	g := s.glance()
	missing, err := report.Missing(g.View, g.told, of, s.routed)
	if err != nil {
		return wire.Missing{}, fmt.Errorf("what is pending: %w", err)
	}
	return missing, nil
}

// routed returns the revision at which the routes of an application last changed.
func (s *Service) routed(app cluster.Application) (revision cluster.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range app.Ports {
		if e := s.shared.routes.newest[p.External]; e != nil {
			revision = max(revision, e.revision)
		}
	}
	return revision
}
