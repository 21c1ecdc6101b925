package control

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// Configuration returns what the users want, and the revision that it has. It is the caller's.
func (s *Service) Configuration() (cluster.Configuration, cluster.Revision) {
	m := s.glance().Model
	return m.Configuration().Clone(), m.Head
}

// Configure replaces the configuration, if it still has the revision from; zero replaces any.
// What is wrong with next is listed whole, as cluster.Problems. Volumes that next does not list
// are kept: only one that is marked as deleted goes away.
func (s *Service) Configure(ctx context.Context, from cluster.Revision, next cluster.Configuration) (wire.ConfigurationDocument, error) {
	return s.configure(ctx, from, func(c *cluster.Configuration) error {
		*c = next.Clone()
		return nil
	})
}

// Patch changes what a patch says of the configuration, under the conditions of Configure.
func (s *Service) Patch(ctx context.Context, from cluster.Revision, p wire.ConfigurationPatch) (wire.ConfigurationDocument, error) {
	doc, err := s.configure(ctx, from, p.Apply)
	doc.Configuration = cluster.Configuration{} // who sends a part wants no more
	return doc, err
}

// Edit changes the configuration by a function, which may be called several times and must do
// nothing else. It may read from the service but not write to it.
func (s *Service) Edit(ctx context.Context, edit func(*cluster.Configuration) error) (wire.ConfigurationDocument, error) {
	return s.configure(ctx, 0, edit)
}

func (s *Service) configure(ctx context.Context, from cluster.Revision, edit func(*cluster.Configuration) error) (wire.ConfigurationDocument, error) {
	var doc wire.ConfigurationDocument
	var next cluster.Configuration
	prepare := func(m *records.Model) error {
		if from != 0 && from != m.Head {
			return fmt.Errorf("configure: %w: the configuration has revision %d, not %d", cluster.ErrStale, m.Head, from)
		}
		edited := m.Configuration().Clone()
		if err := edit(&edited); err != nil {
			return err
		}
		next = edited.Clone() // edit may have kept a hold on what it put in
		return nil
	}
	w, err := s.updateFrom(ctx, prepare, func(w *rules.Write) error {
		err := w.Configure(next)
		doc.Configuration = next.Clone()
		return err
	})
	if err != nil {
		return wire.ConfigurationDocument{}, err
	}
	doc.Revision, doc.Changed = w.Head, w.ChangesConfiguration()
	doc.Moves = slices.Sorted(maps.Values(w.Opened))
	return doc, nil
}

// Preview returns what the nodes would do if next were the configuration, and changes nothing. It is
// the same write as Configure would make, not committed, and is refused as that would be.
func (s *Service) Preview(ctx context.Context, next cluster.Configuration) ([]wire.PlannedStep, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	w, err := s.settle(ctx, func(w *rules.Write) error { return w.Configure(next.Clone()) })
	if err != nil {
		return nil, err
	}
	then := w.View
	then.Model = w.Outcome(then.Model.Revision + 1)
	return report.Preview(then, slices.Sorted(maps.Values(w.Opened))), nil
}
