package rules

import (
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// AddKey lets the holder of a key read volumes. Done again it changes nothing.
func (w *Write) AddKey(name, key string) error {
	for n := range w.Nodes.All() {
		if n.TransferKey == key {
			return fmt.Errorf("%w: it is that of node %s; users have keys of their own: make one with: ssh-keygen -t ed25519",
				cluster.ErrConflict, w.Node(n.ID))
		}
	}
	for k := range w.Keys.All() {
		switch {
		case k.Name == name && k.Key == key:
			return nil
		case k.Name == name:
			return fmt.Errorf("%w with another key; choose another name, or first run: drover key rm %s", cluster.ErrExists, name)
		case k.Key == key:
			return fmt.Errorf("the key %w, as %s", cluster.ErrExists, k.Name)
		}
	}
	w.Keys.Put(cluster.UserKey{Name: name, Key: key, Added: w.View.Wall})
	w.Tell(cluster.Event{Kind: "key added", Message: fmt.Sprintf("the key %s may read volumes", name)})
	return nil
}

// RemoveKey shuts the holder of a key out.
func (w *Write) RemoveKey(name string) error {
	if !w.Keys.Drop(name) {
		return fmt.Errorf("%w; the keys are: %s", records.NotFound("key", name), records.List(w.Keys.IDs()))
	}
	w.Tell(cluster.Event{Kind: "key removed", Message: fmt.Sprintf("the key %s may not read volumes any more", name)})
	return nil
}
