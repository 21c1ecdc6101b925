package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Keys returns the keys of users, by name.
func (s *Service) Keys() []cluster.UserKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(s.model.keys.all())
}

// AddKey lets the holder of a key read volumes. Done again it changes nothing.
func (s *Service) AddKey(ctx context.Context, name string, r wire.KeyRequest) error {
	key, err := cluster.ParseUserKey(r.Key)
	if err == nil && !cluster.ValidName(name) {
		err = fmt.Errorf("%w: use letters, digits, '_', '.' and '-' for its name", cluster.ErrInvalid)
	}
	if err == nil {
		_, err = s.update(ctx, func(d *draft) error { return d.addKey(name, key) })
	}
	if err != nil {
		return fmt.Errorf("add key %q: %w", name, err)
	}
	return nil
}

func (d *draft) addKey(name, key string) error {
	for n := range d.model.nodes.all() {
		if n.TransferKey == key {
			return fmt.Errorf("%w: it is that of node %s; users have keys of their own: make one with: ssh-keygen -t ed25519",
				cluster.ErrConflict, d.model.node(n.ID))
		}
	}
	for k := range d.model.keys.all() {
		switch {
		case k.Name == name && k.Key == key:
			return nil
		case k.Name == name:
			return fmt.Errorf("%w with another key; choose another name, or first run: drover key rm %s", cluster.ErrExists, name)
		case k.Key == key:
			return fmt.Errorf("the key %w, as %s", cluster.ErrExists, k.Name)
		}
	}
	d.keys.put(cluster.UserKey{Name: name, Key: key, Added: now()})
	d.event(cluster.Event{Kind: "key added", Message: fmt.Sprintf("the key %s may read volumes", name)})
	return nil
}

// RemoveKey shuts the holder of a key out.
func (s *Service) RemoveKey(ctx context.Context, name string) error {
	_, err := s.update(ctx, func(d *draft) error {
		if !d.keys.drop(name) {
			return fmt.Errorf("%w; the keys are: %s", notFound("key", name), list(sorted(d.model.keys.rows)))
		}
		d.event(cluster.Event{Kind: "key removed", Message: fmt.Sprintf("the key %s may not read volumes any more", name)})
		return nil
	})
	return err
}
