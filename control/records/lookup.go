package records

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
)

// VolumeNamed returns the volume of that id or name that is not deleted.
func (n *Nouns) VolumeNamed(nameOrID string) (cluster.Volume, bool) {
	if v, ok := n.Volumes.Get(cluster.VolumeID(nameOrID)); ok && !v.Deleted {
		return v, true
	}
	for _, v := range n.Volumes.Each() {
		if !v.Deleted && v.Name == nameOrID {
			return v, true
		}
	}
	return cluster.Volume{}, false
}

// VolumeNames returns what the volumes that are not deleted are called, sorted.
func (n *Nouns) VolumeNames() []string {
	var names []string
	for _, v := range n.Volumes.Each() {
		if !v.Deleted {
			names = append(names, Name(v))
		}
	}
	slices.Sort(names)
	return names
}

// NodeNames returns what the nodes are called, sorted.
func (n *Nouns) NodeNames() []string {
	var names []string
	for id := range n.Nodes.Each() {
		names = append(names, n.Node(id))
	}
	slices.Sort(names)
	return names
}

// Node says what a node is called, or was before it was removed.
func (n *Nouns) Node(id cluster.NodeID) string {
	node, _ := n.Nodes.Get(id)
	removed, _ := n.Removed.Get(id)
	return cmp.Or(node.Name, removed.Name, string(id))
}

// Admitted refuses a node that was removed, and says how it is let in again.
func (n *Nouns) Admitted(id cluster.NodeID) error {
	r, removed := n.Removed.Get(id)
	if !removed {
		return nil
	}
	err := fmt.Errorf("%w: node %s was removed %s", cluster.ErrRemoved, n.Node(id), Past(r.At, r.By))
	return cluster.WithHint(err, fmt.Sprintf("to let it in again: drover node readmit %s; or give its host an identity of its own: drover node add", n.Node(id)))
}

// RemovedNamed returns the node of that id or name that was removed: of several with the name the one that
// was removed last.
func (n *Nouns) RemovedNamed(nameOrID string) (cluster.RemovedNode, bool) {
	if r, ok := n.Removed.Get(cluster.NodeID(nameOrID)); ok {
		return r, true
	}
	var found cluster.RemovedNode
	for r := range n.Removed.All() {
		if r.Name == nameOrID && r.At.After(found.At) {
			found = r
		}
	}
	return found, found.ID != ""
}

// Volume says what a volume is called.
func (n *Nouns) Volume(id cluster.VolumeID) string {
	v, _ := n.Volumes.Get(id)
	return cmp.Or(v.Name, string(id))
}

// Mover says what a move moves.
func (n *Nouns) Mover(move cluster.Move) string {
	return cmp.Or(string(move.Application), n.Volume(move.Volume))
}

// Name says what a volume is called.
func Name(v cluster.Volume) string { return cmp.Or(v.Name, string(v.ID)) }

// RunsOn returns the node that an application runs on now: the owner of its volume; without one, the
// node that it leaves once it is healthy elsewhere, else the one where it is placed.
func (n *Nouns) RunsOn(name cluster.AppName) (cluster.NodeID, error) {
	app, ok := n.Applications.Get(name)
	if !ok {
		return "", n.NoApplication(name)
	}
	if app.Node == "" {
		return "", fmt.Errorf("%w: application %q runs nowhere: it is placed on no node", cluster.ErrNotFound, name)
	}
	if app.Volume != nil {
		if o, owned := n.Ownerships.Get(app.Volume.Volume); owned {
			return o.Owner, nil
		}
		return "", fmt.Errorf("%w: application %q runs nowhere: its volume has no owner yet", cluster.ErrNotFound, name)
	}
	if left, ok := n.Drains.Get(name); ok {
		return left.Node, nil
	}
	return app.Node, nil
}

// DeletedNamed returns the deleted volume of that id, or the one of that name that was deleted last.
func (n *Nouns) DeletedNamed(nameOrID string) (cluster.Volume, bool) {
	var found cluster.Volume
	for v := range n.Volumes.All() {
		named := v.Name == nameOrID && (found.ID == "" || v.DeletedAt.After(found.DeletedAt))
		if v.Deleted && (string(v.ID) == nameOrID || named) {
			found = v
		}
	}
	return found, found.ID != ""
}

// NoVolume says that there is no such volume, and what became of the last one of that name, or which there
// are.
func (n *Nouns) NoVolume(nameOrID string) error {
	if v, deleted := n.DeletedNamed(nameOrID); deleted {
		err := fmt.Errorf("%w: it was deleted %s", NotFound("volume", nameOrID), Past(v.DeletedAt, v.DeletedBy))
		return cluster.WithHint(err, "bring it back: drover volume undelete "+Name(v))
	}
	return fmt.Errorf("%w; the volumes are: %s", NotFound("volume", nameOrID), List(n.VolumeNames()))
}

// Past says when something was done, and by whom if that is known.
func Past(at time.Time, by string) string {
	text := "at " + at.UTC().Format(time.DateTime+" MST")
	if by != "" {
		text += " by " + by
	}
	return text
}

// NoApplication says that there is no such application, and which there are.
func (n *Nouns) NoApplication(name cluster.AppName) error {
	return fmt.Errorf("%w; the applications are: %s", NotFound("application", name), List(n.Applications.IDs()))
}

// NotFound says that there is no such thing.
func NotFound[K ~string](noun string, id K) error {
	return fmt.Errorf("%s %q: %w", noun, string(id), cluster.ErrNotFound)
}

// List joins names for a sentence.
func List[K ~string](names []K) string {
	if len(names) == 0 {
		return "there are none"
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}
