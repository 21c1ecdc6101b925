package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Configuration returns what the users want, and the revision that it has. It is the caller's.
func (s *Service) Configuration() (cluster.Configuration, cluster.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.model.configuration().Clone(), s.model.head
}

// Configure replaces the configuration, if it still has the revision from; zero replaces any.
// What is wrong with next is listed whole, as cluster.Problems. Volumes that next does not list
// are kept: only one that is marked as deleted goes away.
func (s *Service) Configure(ctx context.Context, from cluster.Revision, next cluster.Configuration) (wire.ConfigurationDocument, error) {
	return s.configure(ctx, from, func(c *cluster.Configuration) error {
		*c = next.Clone()
		return nil
	})
}

// Edit changes the configuration by a function, which may be called several times and must do
// nothing else. It may read from the service but not write to it.
func (s *Service) Edit(ctx context.Context, edit func(*cluster.Configuration) error) (wire.ConfigurationDocument, error) {
	return s.configure(ctx, 0, edit)
}

func (s *Service) configure(ctx context.Context, from cluster.Revision, edit func(*cluster.Configuration) error) (wire.ConfigurationDocument, error) {
	var doc wire.ConfigurationDocument
	d, err := s.update(ctx, func(d *draft) error {
		if head := d.model.head; from != 0 && from != head {
			return fmt.Errorf("configure: %w: the configuration has revision %d, not %d", cluster.ErrStale, head, from)
		}
		edited := d.model.configuration().Clone()
		if err := edit(&edited); err != nil {
			return err
		}
		next := edited.Clone() // edit may have kept a hold on what it put in
		for id, r := range d.model.volumes.rows {
			if _, listed := next.Volumes[id]; !listed {
				next.Volumes[id] = r.value
			}
		}
		if err := d.problems(next).Err(); err != nil {
			return err
		}
		d.configure(next)
		doc.Configuration = next.Clone()
		return nil
	})
	if err != nil {
		return wire.ConfigurationDocument{}, err
	}
	doc.Revision, doc.Changed = d.revision, d.changesConfiguration()
	doc.Moves = slices.Sorted(maps.Values(d.opened))
	return doc, nil
}

// problems returns all that is wrong with a configuration, in itself and with these nodes.
func (d *draft) problems(next cluster.Configuration) cluster.Problems {
	p := next.Validate()
	unknown := func(path string, node cluster.NodeID) {
		n, known := d.nodes.get(node)
		switch {
		case node == "":
		case !known:
			p = append(p, cluster.Problem{Path: path, Message: fmt.Sprintf("no node %q has registered; the nodes are: %s", node, list(d.model.nodeNames()))})
		case n.RoutesOnly:
			p = append(p, cluster.Problem{Path: path, Message: fmt.Sprintf("node %s only routes: it runs no applications and keeps no volumes", n.Name)})
		}
	}
	for _, name := range sorted(next.Applications) {
		unknown(fmt.Sprintf("applications.%s.node", name), next.Applications[name].Node)
	}
	for _, id := range sorted(next.Volumes) {
		if v := next.Volumes[id]; !v.Deleted {
			unknown(fmt.Sprintf("volumes.%s.primary", id), v.Primary)
		}
	}
	for _, id := range sorted(next.Leases) {
		l, path := next.Leases[id], fmt.Sprintf("leases.%s", id)
		if v, ok := next.Volumes[id]; !ok || v.Deleted || l.Volume != id {
			p = append(p, cluster.Problem{Path: path, Message: fmt.Sprintf("no such volume: %s", l.Volume)})
		}
		unknown(path+".node", l.Node)
	}
	return p
}

func (m *model) nodeNames() []string {
	var names []string
	for n := range m.nodes.all() {
		names = append(names, m.node(n.ID))
	}
	slices.Sort(names)
	return names
}

// configure writes what differs between the configuration and next.
func (d *draft) configure(next cluster.Configuration) {
	for name, r := range d.model.applications.rows {
		if _, kept := next.Applications[name]; !kept {
			d.dropApplication(r.value)
		}
	}
	for _, name := range sorted(next.Applications) {
		d.putApplication(next.Applications[name])
	}
	for _, v := range next.Volumes {
		d.putVolume(v)
	}
	for id := range d.model.leases.rows {
		if _, kept := next.Leases[id]; !kept {
			d.dropLease(id)
		}
	}
	for _, l := range next.Leases {
		l.Expires = inUTC(l.Expires)
		d.putLease(l)
	}
	if d.changesConfiguration() {
		d.event(cluster.Event{Kind: "configured", Message: fmt.Sprintf("the configuration was changed: %d applications, %d volumes, %d leases",
			len(d.applications.fresh), len(d.volumes.fresh), len(d.leases.fresh))})
	}
}

// inUTC returns the same instant as it is written down; zero stays zero.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Round(0)
}
