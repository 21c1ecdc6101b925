package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
)

// update makes one write: edit changes a draft, what follows from that is settled, and all of it
// goes to the store as one batch. When someone else wrote to the store meanwhile, the model is
// read again and edit is called again on a new draft; so edit must not act on anything else.
func (s *Service) update(ctx context.Context, edit func(*draft) error) (*draft, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	var stale error
	for range staleAttempts {
		if err := s.refresh(ctx); err != nil {
			return nil, err
		}
		d := s.newDraft()
		if err := edit(d); err != nil {
			return nil, err
		}
		d.settle()
		err := s.write(ctx, d)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, cluster.ErrStale) {
			// %v: whether the request was stale or in conflict is not for the store to say.
			return nil, fmt.Errorf("%w: write to the store: %v", cluster.ErrUnavailable, err)
		}
		stale = err
	}
	return nil, fmt.Errorf("%w: others keep writing to the store: %v", cluster.ErrUnavailable, stale)
}

// refresh reads the model again if what the store holds is in doubt. The caller holds writing.
func (s *Service) refresh(ctx context.Context) error {
	if !s.doubt {
		return nil
	}
	records, revision, err := s.store.Load(ctx)
	if err != nil {
		return fmt.Errorf("%w: read the store: %v", cluster.ErrUnavailable, err)
	}
	m, err := loadModel(records, revision)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.model = m
	s.doubt = false
	for id := range m.nodes.rows {
		if s.sessions[id] == nil {
			s.sessions[id] = &session{node: id, silent: true, stale: true}
		}
	}
	s.wakeAll()
	return nil
}

// write sends the draft to the store and makes it the model. The caller holds writing.
func (s *Service) write(ctx context.Context, d *draft) error {
	b, err := d.batch()
	if err != nil {
		return err
	}
	revision := s.model.revision
	if len(b.Put)+len(b.Delete) > 0 {
		if revision, err = s.store.Write(ctx, b); err != nil {
			s.doubt = true
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(d, revision)
	return nil
}

// apply makes a draft that is in the store the model, and wakes those whom it concerns. The
// caller holds both locks.
func (s *Service) apply(d *draft, revision cluster.Revision) {
	m := s.model
	if d.changesConfiguration() {
		m.head = revision
	}
	m.revision, d.revision = revision, m.head
	d.applications.apply(revision, m.index.application)
	d.departures.apply(revision, m.index.departure)
	d.ownerships.apply(revision, m.index.ownership)
	d.volumes.apply(revision, func(_, is *cluster.Volume) {
		_, owned := m.ownerships.get(is.ID)
		m.index.volume(is, owned)
	})
	for id := range d.ownerships.fresh {
		delete(m.index.ownerless, id)
	}
	d.leases.apply(revision, func(_, _ *cluster.Lease) {})
	d.moves.apply(revision, func(was, is *cluster.Move) {
		m.index.move(was, is)
		s.moveChanged(was, is)
	})
	everyone := d.changesEveryone()
	d.nodes.apply(revision, func(_, _ *cluster.Node) {})
	s.catalogued(d)
	d.routes.apply(revision, func(_, _ *cluster.Route) {})
	d.keys.apply(revision, func(_, _ *cluster.UserKey) {})
	m.events = append(m.events[len(d.expiredEvents()):], d.events...)
	if len(d.events) > 0 {
		s.watch.events.raise()
	}
	for id, what := range d.conflicts {
		s.conflicts[id] = what
	}
	s.wake(d.concerned, everyone)
}
