package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// Keys returns the keys of users, by name.
func (s *Service) Keys() []cluster.UserKey {
	return slices.Collect(s.glance().Model.Keys.All())
}

// AddKey lets the holder of a key read volumes. Done again it changes nothing.
func (s *Service) AddKey(ctx context.Context, name string, r wire.KeyRequest) error {
	key, err := cluster.ParseUserKey(r.Key)
	if err == nil && !cluster.ValidName(name) {
		err = fmt.Errorf("%w: use letters, digits, '_', '.' and '-' for its name", cluster.ErrInvalid)
	}
	if err == nil {
		_, err = s.update(ctx, func(w *rules.Write) error { return w.AddKey(name, key) })
	}
	if err != nil {
		return fmt.Errorf("add key %q: %w", name, err)
	}
	return nil
}

// RemoveKey shuts the holder of a key out.
func (s *Service) RemoveKey(ctx context.Context, name string) error {
	_, err := s.update(ctx, func(w *rules.Write) error { return w.RemoveKey(name) })
	return err
}
