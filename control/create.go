package control

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// CreateVolume adds a volume, which its first owner makes. An application of the same name will
// find its data.
func (s *Service) CreateVolume(ctx context.Context, r wire.VolumeRequest) (wire.VolumeStatus, error) {
	return s.writeVolume(ctx, "create", r.Name, func(d *draft) (cluster.Volume, error) { return d.newVolume(r) })
}

func (d *draft) newVolume(r wire.VolumeRequest) (cluster.Volume, error) {
	v := cluster.Volume{ID: cluster.VolumeIDForName(cluster.AppName(r.Name)), Name: r.Name, MaximumSize: r.MaximumSize,
		Profile: r.Profile, Options: maps.Clone(r.Options), Metadata: maps.Clone(r.Metadata)}
	if !cluster.ValidName(r.Name) {
		return v, fmt.Errorf("%w: %q is not a valid name: use letters, digits, '_', '.' and '-', starting with a letter or digit", cluster.ErrInvalid, r.Name)
	}
	if other, taken := d.model.volumeNamed(r.Name); taken {
		return v, fmt.Errorf("volume %s %w", name(other), cluster.ErrExists)
	}
	if _, taken := d.volumes.get(v.ID); taken { // by one that is deleted, or has another name
		v.ID = cluster.VolumeID(cluster.NewUUID())
	}
	node, err := d.firstNode(r, &v)
	if err != nil {
		return v, err
	}
	v.Primary = node.ID
	if node.RoutesOnly {
		return v, fmt.Errorf("%w: node %s only routes: it keeps no volumes", cluster.ErrInvalid, node.Name)
	}
	return v, append(v.Validate(), v.Strange(node)...).Err()
}

// firstNode returns the node that shall make a volume, which must be able to, and completes the
// volume's origin.
func (d *draft) firstNode(r wire.VolumeRequest, v *cluster.Volume) (cluster.Node, error) {
	if r.Origin != nil && r.Origin.Volume != "" {
		return d.cloningNode(r, v)
	}
	if r.Node == "" {
		return cluster.Node{}, fmt.Errorf("%w: name the node that shall make it; the nodes are: %s", cluster.ErrInvalid, list(d.model.nodeNames()))
	}
	id, err := d.resolve(r.Node)
	if err != nil {
		return cluster.Node{}, err
	}
	node, _ := d.nodes.get(id)
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
func (d *draft) cloningNode(r wire.VolumeRequest, v *cluster.Volume) (cluster.Node, error) {
	source, ok := d.model.volumeNamed(string(r.Origin.Volume))
	if !ok {
		return cluster.Node{}, d.model.noVolume(string(r.Origin.Volume))
	}
	v.Origin = &cluster.Origin{Volume: source.ID, Snapshot: r.Origin.Snapshot}
	v.MaximumSize, v.Profile = cmp.Or(v.MaximumSize, source.MaximumSize), cmp.Or(v.Profile, source.Profile)
	if v.Options == nil {
		v.Options = maps.Clone(source.Options)
	}
	holders := d.holders(source, r.Origin.Snapshot)
	if len(holders) == 0 && r.Origin.Snapshot == "" {
		return cluster.Node{}, fmt.Errorf("%w: no node has reported the owner's copy of volume %s", cluster.ErrConflict, name(source))
	}
	if len(holders) == 0 {
		return cluster.Node{}, fmt.Errorf("%w: no node has reported snapshot %s of volume %s", cluster.ErrNotFound, r.Origin.Snapshot, name(source))
	}
	id := holders[0]
	if r.Node != "" {
		wanted, err := d.resolve(r.Node)
		if err != nil {
			return cluster.Node{}, err
		}
		if !slices.Contains(holders, wanted) {
			err := fmt.Errorf("%w: node %s does not hold what is to be cloned; %s does", cluster.ErrRefused, d.model.node(wanted), d.model.node(id))
			return cluster.Node{}, cluster.WithHint(err, "clone it there, then move the clone")
		}
		id = wanted
	}
	node, _ := d.nodes.get(id)
	if v.Strange(node) != nil && len(r.Options) == 0 {
		v.Options = nil // they came with the source, which was made elsewhere
	}
	return node, able(node, cluster.AbilityClone)
}

// holders returns the nodes that hold a snapshot of a volume, the owner first. The content as it
// is now, which has no name, is the owner's.
func (d *draft) holders(v cluster.Volume, snapshot cluster.SnapshotName) []cluster.NodeID {
	o, _ := d.ownerships.get(v.ID)
	copies := d.service.copiesOf(v.ID)
	var nodes []cluster.NodeID
	for _, node := range sorted(copies) {
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
	if len(n.Abilities) > 0 {
		can = "it can: " + list(n.Abilities)
	}
	return fmt.Errorf("%w: node %s has the backend %s, which cannot %s; %s", cluster.ErrUnsupported, n.Name, n.Backend, ability, can)
}
