package control

import (
	"cmp"
	"context"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// A catalogue is the volumes in brief, for those who keep a list of all: they are told what changed,
// so that a change costs each of them one entry and not the list. The service's mu guards it.
type catalogue struct {
	// entries are in the order of their revisions, and revisions has that of each.
	entries   []catalogued
	revisions map[cluster.VolumeID]cluster.Revision
	// from is where it begins: who knows less is given all of it.
	from    cluster.Revision
	changed signal
}

type catalogued struct {
	revision cluster.Revision
	brief    wire.VolumeBrief
}

// after returns the index of the first entry that is newer than a revision.
func (c *catalogue) after(revision cluster.Revision) int {
	at, _ := slices.BinarySearchFunc(c.entries, revision+1,
		func(e catalogued, revision cluster.Revision) int { return cmp.Compare(e.revision, revision) })
	return at
}

// newest returns the revision of the last entry.
func (c *catalogue) newest() cluster.Revision {
	if len(c.entries) == 0 {
		return c.from
	}
	return c.entries[len(c.entries)-1].revision
}

// Catalogue returns the volumes that changed since a revision, and all of them if that is of an
// earlier life of the service, or of one that is to come: the store was restored from a copy. It waits
// until there are any, or returns the error of ctx.
func (s *Service) Catalogue(ctx context.Context, since cluster.Revision) (wire.Catalogue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		c := wire.Catalogue{Revision: s.catalogue.newest(), Volumes: []wire.VolumeBrief{}}
		known := since
		if since < s.catalogue.from || since > c.Revision {
			c.Whole, known = true, 0
		}
		for _, e := range s.catalogue.entries[s.catalogue.after(known):] {
			if !e.brief.Gone || !c.Whole {
				c.Volumes = append(c.Volumes, e.brief)
			}
		}
		if c.Revision != since {
			return c, nil
		}
		if err := ctx.Err(); err != nil {
			return wire.Catalogue{}, err
		}
		changed := s.catalogue.changed.wait()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}

// relist begins the catalogue anew: the model was read again. The caller holds mu.
func (s *Service) relist() {
	s.catalogue.changed.raise()
	s.catalogue = catalogue{from: s.next()}
	for id := range s.model.volumes.rows {
		s.list(id)
	}
}

// catalogued lists what a draft, which is applied, has changed. The caller holds mu.
func (s *Service) catalogued(d *draft) {
	for id := range d.volumes.fresh {
		s.list(id)
	}
	for id := range d.ownerships.fresh {
		s.list(id)
	}
	for node := range d.nodes.fresh { // which may have another name
		for id := range s.model.index.owned[node] {
			s.list(id)
		}
	}
}

// list brings the entry of a volume up to date. The caller holds mu.
func (s *Service) list(id cluster.VolumeID) {
	v, ok := s.model.volumes.get(id)
	brief := wire.VolumeBrief{ID: id, Name: name(v), MaximumSize: v.MaximumSize, Gone: v.Deleted || !ok}
	if o, owned := s.model.ownerships.get(id); owned {
		brief.Owner, brief.Epoch = s.model.node(o.Owner), o.Epoch
	}
	c := &s.catalogue
	if revision, listed := c.revisions[id]; listed {
		at := c.after(revision - 1)
		if c.entries[at].brief == brief {
			return
		}
		c.entries = slices.Delete(c.entries, at, at+1)
	}
	if c.revisions == nil {
		c.revisions = map[cluster.VolumeID]cluster.Revision{}
	}
	c.revisions[id] = s.next()
	c.entries = append(c.entries, catalogued{c.revisions[id], brief})
	c.changed.raise()
}
