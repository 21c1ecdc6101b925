package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// update makes one write: edit says what is asked for, what follows from that is reconciled, both by
// one view, and all of it goes to the store as one batch. When someone else wrote to the store
// meanwhile, the records are read again and edit is called again on a new write; so edit must not act
// on anything else.
func (s *Service) update(ctx context.Context, edit func(*rules.Write) error) (*rules.Write, error) {
	return s.updateFrom(ctx, func(*records.Model) error { return nil }, edit)
}

// updateFrom is update with something that comes first, and may take its time: nobody else writes
// meanwhile, but everybody reads.
func (s *Service) updateFrom(ctx context.Context, prepare func(*records.Model) error, edit func(*rules.Write) error) (*rules.Write, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// From here on the caller may leave: a write that is cut off in the middle would leave open what the
	// store holds, and everybody would have to be told everything again.
	ctx = context.WithoutCancel(ctx)
	var stale error
	for range staleAttempts {
		if err := s.refresh(ctx); err != nil {
			return nil, err
		}
		if err := prepare(s.model); err != nil {
			return nil, err
		}
		w, err := s.settle(ctx, edit)
		if err != nil {
			return nil, err
		}
		err = s.write(ctx, w)
		if err == nil {
			return w, nil
		}
		if !errors.Is(err, cluster.ErrStale) {
			// Without its kind: whether the request was stale or in conflict is not for the store to say.
			return nil, fmt.Errorf("%w: write to the store: %s", cluster.ErrUnavailable, cluster.Message(err))
		}
		stale = err
	}
	return nil, fmt.Errorf("%w: others keep writing to the store: %s", cluster.ErrUnavailable, cluster.Message(stale))
}

// try makes a write and what follows from it, as update does, and does not commit it.
func (s *Service) try(ctx context.Context, edit func(*rules.Write) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.refresh(ctx); err != nil {
		return err
	}
	_, err := s.settle(ctx, edit)
	return err
}

// settle returns a write with all that follows from it, by everything as it is at one instant. The caller holds
// writing, and not mu: what it decides may take its time.
func (s *Service) settle(ctx context.Context, edit func(*rules.Write) error) (*rules.Write, error) {
	w := rules.Begin(s.glance().View)
	w.By = wire.CallerOf(ctx)
	if err := edit(w); err != nil {
		return nil, err
	}
	w.Reconcile()
	return w, nil
}

// refresh reads the model again if what the store holds is in doubt. The caller holds writing.
func (s *Service) refresh(ctx context.Context) error {
	if !s.doubt {
		return nil
	}
	stored, revision, err := s.store.Load(ctx)
	if err != nil {
		return fmt.Errorf("%w: read the store: %s", cluster.ErrUnavailable, cluster.Message(err))
	}
	m, err := records.Load(stored, revision)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.model = m
	s.doubt = false
	var joined cluster.Revision
	if s.watch.first != 0 {
		joined = s.next()
	}
	for id := range m.Nodes.Each() {
		if s.sessions[id] == nil {
			s.meet(id, view.Node{Silent: true, Joined: joined})
		}
	}
	for id := range m.Removed.Each() {
		s.part(id)
	}
	s.wakeAll()
	return nil
}

// write sends a write to the store and makes it the model. The caller holds writing.
func (s *Service) write(ctx context.Context, w *rules.Write) error {
	b, err := w.Batch()
	if err != nil {
		return err
	}
	revision := s.model.Revision
	if !empty(b) {
		if revision, err = s.store.Write(ctx, b); err != nil {
			s.doubt = true
			return err
		}
	}
	outcome := w.Outcome(revision)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.model = outcome
	s.applied(w)
	return nil
}

func empty(b store.Batch) bool { return len(b.Put)+len(b.Delete) == 0 }

// applied wakes those whom a write concerns that is now part of the model. The caller holds both locks.
func (s *Service) applied(w *rules.Write) {
	for _, id := range w.Moves.Changed() {
		s.moveChanged(id)
	}
	for _, id := range w.Removed.Changed() {
		if _, removed := s.model.Removed.Get(id); removed {
			s.part(id)
		}
	}
	s.listVolumeChanges(w)
	if len(w.Events()) > 0 {
		s.watch.events.raise()
	}
	for _, id := range w.Volumes.Changed() {
		if _, exists := s.model.Volumes.Get(id); !exists {
			s.seen.Told.Delete(id)
		}
	}
	for id, what := range w.Told {
		s.seen.Told.Put(id, what)
	}
	s.wake(w.Concerned)
	if w.ChangesEveryone() {
		s.share(w)
	}
}
