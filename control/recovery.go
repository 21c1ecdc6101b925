package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// Recovery says whether the store has gone back, and what would follow from accepting it.
func (s *Service) Recovery() wire.Recovery {
	return report.Recovery(s.glance().View)
}

// AcceptRecovery makes what is on record count again, and returns what that led to.
func (s *Service) AcceptRecovery(ctx context.Context, r wire.AcceptRequest) (wire.Recovery, error) {
	var accepted wire.Recovery
	_, err := s.update(ctx, func(w *rules.Write) error {
		accepted = report.Recovery(w.View)
		return w.Accept(r)
	})
	if err != nil {
		return wire.Recovery{}, fmt.Errorf("accept the records: %w", err)
	}
	return accepted, nil
}

// saw takes in which revision of its assignment a node has seen that has not said, when it registered, of which
// life of the service that is. One that this service has not given it, and that none before it on this store
// could have, says that the store has gone back since.
func (s *Service) saw(ctx context.Context, node cluster.NodeID, revision cluster.Revision) error {
	s.mu.Lock()
	n := s.sessions[node]
	r, _ := s.model.Recoveries.Get("store")
	news := n != nil && !n.dated && s.unheardOf(n, revision) && len(r.Witnesses) < rules.MostWitnesses && !slices.Contains(r.Witnesses, node)
	s.mu.Unlock()
	if !news {
		return nil
	}
	_, err := s.update(ctx, func(w *rules.Write) error {
		w.Suspect(node, fmt.Sprintf("%s has acted on revision %d, which the store does not know", w.Node(node), revision>>view.RevisionsPerWrite))
		return nil
	})
	if err == nil {
		err = s.review(ctx)
	}
	return err
}

// review draws the consequences of a store that is known to have gone back.
func (s *Service) review(ctx context.Context) error {
	_, err := s.update(ctx, func(w *rules.Write) error { w.Review(); return nil })
	return err
}

// unheardOf reports whether a revision was given to a node neither in this life of the service nor in one
// before it that left its traces in the store. The caller holds mu.
func (s *Service) unheardOf(n *session, revision cluster.Revision) bool {
	return revision >= s.watch.first && revision > n.given
}
