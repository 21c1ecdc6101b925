package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
)

// Revocations returns who was shut out, by name.
func (s *Service) Revocations() []cluster.Revocation {
	return slices.Collect(s.glance().Model.Revocations.All())
}

// Revoked reports whether a user was shut out.
func (s *Service) Revoked(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, revoked := s.model.Revocations.Get(user)
	return revoked
}

// RevokeUser shuts a user out, on the word of another one.
func (s *Service) RevokeUser(ctx context.Context, name, by string) error {
	if _, err := s.update(ctx, func(w *rules.Write) error { return w.RevokeUser(name, by) }); err != nil {
		return fmt.Errorf("remove user %s: %w", cluster.Printable(name), err)
	}
	return nil
}
