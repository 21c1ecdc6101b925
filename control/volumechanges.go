package control

import (
	"cmp"
	"context"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// volumeChanges are the volumes in brief, for those who keep a list of all: they are told what changed,
// so that a change costs each of them one entry and not the list. The service's mu guards it.
type volumeChanges struct {
	// entries are in the order of their revisions, and revisions has that of each.
	entries   []volumeChange
	revisions map[cluster.VolumeID]cluster.Revision
	// from is where it begins: who knows less is given all of it.
	from    cluster.Revision
	changed signal
}

type volumeChange struct {
	revision cluster.Revision
	brief    wire.VolumeBrief
}

// after returns the index of the first entry that is newer than a revision.
func (c *volumeChanges) after(revision cluster.Revision) int {
	at, _ := slices.BinarySearchFunc(c.entries, revision+1,
		func(e volumeChange, revision cluster.Revision) int { return cmp.Compare(e.revision, revision) })
	return at
}

// newest returns the revision of the last entry.
func (c *volumeChanges) newest() cluster.Revision {
	if len(c.entries) == 0 {
		return c.from
	}
	return max(c.from, c.entries[len(c.entries)-1].revision)
}

// VolumeChanges returns the volumes that changed since a revision, and all of them if that is of an
// earlier life of the service, or of one that is to come: the store was restored from a copy. It waits
// until there are any, or returns the error of ctx.
func (s *Service) VolumeChanges(ctx context.Context, since cluster.Revision) (c wire.VolumeChanges, err error) {
	err = s.await(ctx, func() (*signal, error) {
		c = wire.VolumeChanges{Revision: s.volumeChanges.newest(), Volumes: []wire.VolumeBrief{}}
		if c.Revision == since {
			return &s.volumeChanges.changed, nil
		}
		known := since
		if since < s.volumeChanges.from || since > c.Revision {
			c.Reset, known = true, 0
		}
		for _, e := range s.volumeChanges.entries[s.volumeChanges.after(known):] {
			if !e.brief.Deleted || !c.Reset {
				c.Volumes = append(c.Volumes, e.brief)
			}
		}
		return nil, nil
	})
	if err != nil {
		return wire.VolumeChanges{}, err
	}
	return c, nil
}

// relist begins the list anew: the model was read again. The caller holds mu.
func (s *Service) relist() {
	s.volumeChanges.changed.raise()
	s.volumeChanges = volumeChanges{from: s.next()}
	for id := range s.model.Volumes.Each() {
		s.list(id)
	}
}

// listVolumeChanges lists what a write, which is applied, has changed. The caller holds mu.
func (s *Service) listVolumeChanges(w *rules.Write) {
	for _, id := range w.Volumes.Changed() {
		s.list(id)
	}
	for _, id := range w.Ownerships.Changed() {
		s.list(id)
	}
	for _, node := range w.Nodes.Changed() { // which may have another name
		for id := range s.model.Index.Owned[node] {
			s.list(id)
		}
	}
}

// list brings the entry of a volume up to date. The caller holds mu.
func (s *Service) list(id cluster.VolumeID) {
	brief := report.Brief(s.model, id)
	c := &s.volumeChanges
	if revision, listed := c.revisions[id]; listed {
		at := c.after(revision - 1)
		if c.entries[at].brief == brief {
			return
		}
		c.entries = slices.Delete(c.entries, at, at+1)
		if _, exists := s.model.Volumes.Get(id); !exists {
			// It is forgotten. Who has not heard yet that it is gone is given all of it anew.
			delete(c.revisions, id)
			c.from = max(c.from, revision)
			return
		}
	}
	if c.revisions == nil {
		c.revisions = map[cluster.VolumeID]cluster.Revision{}
	}
	c.revisions[id] = s.next()
	c.entries = append(c.entries, volumeChange{c.revisions[id], brief})
	c.changed.raise()
}
