package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
)

func eventKey(id uint64) string { return fmt.Sprintf("%s%020d", eventPrefix, id) }

// event tells of something that the draft does.
func (d *draft) event(e cluster.Event) {
	last := uint64(0)
	if n := len(d.model.events); n > 0 {
		last = d.model.events[n-1].ID
	}
	e.ID = last + uint64(len(d.events)) + 1
	if e.Time.IsZero() {
		e.Time = now()
	}
	d.events = append(d.events, e)
}

// tell tells of something that happened to a move.
func (d *draft) tell(m cluster.Move, kind, format string, args ...any) {
	d.event(cluster.Event{Move: m.ID, Volume: m.Volume, Application: m.Application, Kind: kind,
		Message: fmt.Sprintf(format, args...)})
}

// expiredEvents returns those that make room for the events of the draft.
func (d *draft) expiredEvents() []cluster.Event {
	excess := len(d.model.events) + len(d.events) - keptEvents
	return d.model.events[:max(0, min(excess, len(d.model.events)))]
}

// Events returns the events with an id greater than since, oldest first. It waits until there is
// one; when ctx ends first there are none, and that is no error.
func (s *Service) Events(ctx context.Context, since uint64) ([]cluster.Event, error) {
	for {
		s.mu.Lock()
		events, changed := s.model.events, s.watch.events.wait()
		s.mu.Unlock()
		first, _ := slices.BinarySearchFunc(events, since+1, func(e cluster.Event, id uint64) int { return cmp.Compare(e.ID, id) })
		if first < len(events) {
			return slices.Clone(events[first:]), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// Record keeps an event. Its id is given by the service, and its time if it has none.
func (s *Service) Record(ctx context.Context, e cluster.Event) error {
	if e.Kind == "" || e.Message == "" {
		return fmt.Errorf("record an event: %w: it needs a kind and a message", cluster.ErrInvalid)
	}
	_, err := s.update(ctx, func(d *draft) error {
		d.event(e)
		return nil
	})
	return err
}
