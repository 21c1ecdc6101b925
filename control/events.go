package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
)

// Events returns the events with an id greater than since, oldest first. It waits until there is
// one; when ctx ends first there are none, and that is no error.
func (s *Service) Events(ctx context.Context, since uint64) ([]cluster.Event, error) {
	var newer []cluster.Event
	err := s.await(ctx, func() (*signal, error) {
		all := s.model.Events
		first, _ := slices.BinarySearchFunc(all, since+1, func(e cluster.Event, id uint64) int { return cmp.Compare(e.ID, id) })
		if first == len(all) {
			return &s.watch.events, nil
		}
		newer = all[first:]
		return nil, nil
	})
	if err != nil && ctx.Err() != nil {
		return nil, nil
	}
	return slices.Clone(newer), err
}

// Record keeps an event. Its id is given by the service, and its time if it has none.
func (s *Service) Record(ctx context.Context, e cluster.Event) error {
	if e.Kind == "" || e.Message == "" {
		return fmt.Errorf("record an event: %w: it needs a kind and a message", cluster.ErrInvalid)
	}
	if err := cluster.Bound(&e); err != nil {
		return fmt.Errorf("record an event: %w", err)
	}
	_, err := s.updateBy(ctx, e.Node, func(w *rules.Write) error {
		w.Tell(e)
		return nil
	})
	return err
}
