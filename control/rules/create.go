package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/wire"
)

// CreateVolume adds a volume, which its first owner makes. An application of the same name will
// find its data.
func (w *Write) CreateVolume(r wire.VolumeRequest) (cluster.Volume, error) {
	v, err := w.newVolume(r)
	if err == nil {
		w.SetVolume(v)
	}
	return v, err
}

func (w *Write) newVolume(r wire.VolumeRequest) (cluster.Volume, error) {
	v := cluster.Volume{ID: cluster.VolumeIDForName(cluster.AppName(r.Name)), Name: r.Name, MaximumSize: r.MaximumSize,
		Profile: r.Profile, Options: maps.Clone(r.Options), Metadata: maps.Clone(r.Metadata)}
	if err := cluster.CheckName(r.Name); err != nil {
		return v, err
	}
	if err := likeAnID(r.Name); err != nil {
		return v, err
	}
	if other, taken := w.VolumeNamed(r.Name); taken {
		return v, fmt.Errorf("volume %s %w", records.Name(other), cluster.ErrExists)
	}
	if _, taken := w.Volumes.Get(v.ID); taken { // by one that is deleted, or has another name
		v.ID = cluster.VolumeID(w.View.NewID())
	}
	node, err := w.firstNode(r, &v)
	if err != nil {
		return v, err
	}
	v.Primary = node.ID
	if node.RoutesOnly {
		return v, fmt.Errorf("%w: node %s only routes: it keeps no volumes", cluster.ErrInvalid, node.Name)
	}
	return v, append(v.Validate(), v.Strange(node)...).Err()
}

// likeAnID refuses a name that could be taken for the id of another volume.
func likeAnID(name string) error {
	if cluster.IsUUID(name) {
		return fmt.Errorf("%w: a volume cannot be named like an id: %s", cluster.ErrInvalid, name)
	}
	return nil
}

// firstNode returns the node that shall make a volume, which must be able to, and completes the
// volume's origin.
func (w *Write) firstNode(r wire.VolumeRequest, v *cluster.Volume) (cluster.Node, error) {
	if r.Origin != nil && r.Origin.Volume != "" {
		return w.cloningNode(r, v)
	}
	if r.Node == "" {
		return cluster.Node{}, fmt.Errorf("%w: name the node that shall make it; the nodes are: %s", cluster.ErrInvalid, records.List(w.NodeNames()))
	}
	id, err := w.resolve(r.Node)
	if err != nil {
		return cluster.Node{}, err
	}
	node, _ := w.Nodes.Get(id)
	if r.Origin == nil {
		return node, nil
	}
	if r.Origin.Adopt == "" {
		return node, fmt.Errorf("%w: an origin needs a volume, or a name to adopt", cluster.ErrInvalid)
	}
	v.Origin = &cluster.Origin{Adopt: r.Origin.Adopt}
	return node, able(node, cluster.AbilityAdopt)
}

// cloningNode is firstNode for a clone. It is like its source where the request does not say.
func (w *Write) cloningNode(r wire.VolumeRequest, v *cluster.Volume) (cluster.Node, error) {
	source, ok := w.VolumeNamed(string(r.Origin.Volume))
	if !ok {
		return cluster.Node{}, w.NoVolume(string(r.Origin.Volume))
	}
	v.Origin = &cluster.Origin{Volume: source.ID, Snapshot: r.Origin.Snapshot}
	v.MaximumSize, v.Profile = cmp.Or(v.MaximumSize, source.MaximumSize), cmp.Or(v.Profile, source.Profile)
	if v.Options == nil {
		v.Options = maps.Clone(source.Options)
	}
	holders := w.holders(source, r.Origin.Snapshot)
	if len(holders) == 0 && r.Origin.Snapshot == "" {
		return cluster.Node{}, fmt.Errorf("%w: no node has reported the owner's copy of volume %s", cluster.ErrConflict, records.Name(source))
	}
	if len(holders) == 0 {
		return cluster.Node{}, fmt.Errorf("%w: no node has reported snapshot %s of volume %s", cluster.ErrNotFound, r.Origin.Snapshot, records.Name(source))
	}
	id := holders[0]
	if r.Node != "" {
		wanted, err := w.resolve(r.Node)
		if err != nil {
			return cluster.Node{}, err
		}
		if !slices.Contains(holders, wanted) {
			err := fmt.Errorf("%w: node %s does not hold what is to be cloned; %s does", cluster.ErrRefused, w.Node(wanted), w.Node(id))
			return cluster.Node{}, cluster.WithHint(err, "clone it there, then move the clone")
		}
		id = wanted
	}
	node, _ := w.Nodes.Get(id)
	if v.Strange(node) != nil && len(r.Options) == 0 {
		v.Options = nil // they came with the source, which was made elsewhere
	}
	return node, able(node, cluster.AbilityClone)
}

// holders returns the nodes that hold a snapshot of a volume, the owner first. The content as it
// is now, which has no name, is the owner's.
func (w *Write) holders(v cluster.Volume, snapshot cluster.SnapshotName) []cluster.NodeID {
	o, _ := w.Ownerships.Get(v.ID)
	copies := w.View.Copies(v.ID)
	var nodes []cluster.NodeID
	for _, node := range records.Sorted(copies) {
		at := slices.ContainsFunc(copies[node].Snapshots, func(s cluster.Snapshot) bool { return s.Name == snapshot })
		switch {
		case node == o.Owner && (at || snapshot == ""):
			nodes = slices.Insert(nodes, 0, node)
		case at:
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// able refuses what the backend of a node cannot do.
func able(n cluster.Node, ability string) error {
	if n.Can(ability) {
		return nil
	}
	can := "it can neither adopt, clone nor roll back"
	if len(n.Capabilities) > 0 {
		words := make([]string, len(n.Capabilities))
		for i, has := range n.Capabilities {
			words[i] = inWords(has)
		}
		can = "it can: " + records.List(words)
	}
	return fmt.Errorf("%w: node %s has the backend %s, which cannot %s; %s", cluster.ErrUnsupported, n.Name, n.Backend, inWords(ability), can)
}

// inWords is an ability as a sentence says it.
func inWords(ability string) string {
	if ability == cluster.AbilityRollback {
		return "roll back"
	}
	return ability
}
