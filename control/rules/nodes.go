package rules

import (
	"cmp"
	"fmt"

	"github.com/drover/drover/cluster"
)

// Register records who a node is.
func (w *Write) Register(n cluster.Node) error {
	if err := w.Admitted(n.ID); err != nil {
		return err
	}
	if err := w.isItself(n); err != nil {
		return err
	}
	switch was, known := w.Nodes.Get(n.ID); {
	case n.Elsewhere(was):
		err := fmt.Errorf("%w: node %s is at %s, and another host at %s says that it is that one", cluster.ErrConflict, w.Node(n.ID), was.Address, n.Address)
		return cluster.WithHint(err, fmt.Sprintf("if it is a copy of it, give it an identity of its own: drover node add; "+
			"if it is the same host and has another address now, start its agent with --former-address %s", was.Address))
	case !known:
		w.Tell(cluster.Event{Node: n.ID, Kind: "registered", Message: fmt.Sprintf("node %s at %s joined", cmp.Or(n.Name, string(n.ID)), n.Address)})
	case was.Era != n.Era:
		w.Tell(cluster.Event{Node: n.ID, Kind: "booted", Message: fmt.Sprintf("node %s was booted", cmp.Or(n.Name, string(n.ID)))})
	}
	n.Admitted, n.Seat, n.Told = false, "", cluster.Position{} // that is no part of the record
	w.Nodes.Put(n)
	return nil
}

// isItself refuses a node that calls itself what another one is. A key is its owner's for ever. A name and
// an address are for as long as that is there: a host may be replaced under its name.
func (w *Write) isItself(n cluster.Node) error {
	was, _ := w.Nodes.Get(n.ID)
	for key := range w.Keys.All() {
		if n.TransferKey != "" && key.Key == n.TransferKey {
			return fmt.Errorf("%w: its key is that of user %s", cluster.ErrConflict, key.Name)
		}
	}
	for id, other := range w.Nodes.Each() {
		called := w.Node(id)
		there := w.View.InTouch(id) || w.View.Awaited(id)
		switch {
		case id == n.ID:
		case n.TransferKey != "" && n.TransferKey == other.TransferKey:
			return fmt.Errorf("%w: its key is that of node %s", cluster.ErrConflict, called)
		case n.Name != was.Name && n.Name == string(id):
			return fmt.Errorf("%w: its name is the id of node %s", cluster.ErrConflict, called)
		case n.Name != was.Name && n.Name != "" && n.Name == other.Name && there:
			return cluster.WithHint(fmt.Errorf("%w: another node is called %s", cluster.ErrConflict, n.Name), "give it another name with --name")
		case n.Address != was.Address && n.Address != "" && n.Address == other.Address && there && !n.RoutesOnly && !other.RoutesOnly:
			return fmt.Errorf("%w: its address %s is that of node %s", cluster.ErrConflict, n.Address, called)
		}
	}
	return nil
}

// Reported draws the consequences of a report that says something new of these volumes and
// applications.
func (w *Write) Reported(volumes set[cluster.VolumeID], apps set[cluster.AppName]) {
	for id := range volumes {
		w.Look(id)
		if m, ok := w.openMove(id); ok {
			w.concern(m.To) // which is told how large the copy is
		}
	}
	for name := range apps {
		w.LookAt(name)
		if a, ok := w.Applications.Get(name); ok && a.Volume != nil {
			w.Look(a.Volume.Volume)
		}
	}
}
