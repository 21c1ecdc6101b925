package control

import (
	"context"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// volumeChanges are the volumes in brief, for those who keep a list of all. The service's mu guards it.
type volumeChanges struct {
	changelog[cluster.VolumeID, wire.VolumeBrief]
	changed signal
	// revision is that of the last change. They are counted from when this life of the service began: what a store that
	// has gone back gave out in another life must not look like one of them.
	revision cluster.Revision
}

func (c *volumeChanges) next() cluster.Revision {
	c.revision++
	return c.revision
}

// VolumeChanges returns the volumes that changed since a revision, and all of them if that is of an
// earlier life of the service, or of one that is to come: the store was restored from a copy. It waits
// until there are any, or returns the error of ctx.
func (s *Service) VolumeChanges(ctx context.Context, since cluster.Revision) (c wire.VolumeChanges, err error) {
	err = s.await(ctx, func() (*signal, error) {
		c = wire.VolumeChanges{Revision: s.volumeChanges.last(s.volumeChanges.revision), Volumes: []wire.VolumeBrief{}}
		if c.Revision == since {
			return &s.volumeChanges.changed, nil
		}
		known := since
		if since < s.volumeChanges.from || since > c.Revision {
			c.Reset, known = true, 0
		}
		for _, e := range s.volumeChanges.since(known) {
			if !e.gone || !c.Reset {
				c.Volumes = append(c.Volumes, e.value)
			}
		}
		return nil, nil
	})
	if err != nil {
		return wire.VolumeChanges{}, err
	}
	return c, nil
}

// relist brings the list up to date: the model was read again. The caller holds mu.
func (s *Service) relist() {
	for _, id := range keys(&s.volumeChanges.changelog, s.model.Volumes) {
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
		for id := range s.model.Index.Owned.Of(node) {
			s.list(id)
		}
	}
}

// list brings the entry of a volume up to date. The caller holds mu.
func (s *Service) list(id cluster.VolumeID) {
	brief := report.Brief(s.model, id)
	if s.volumeChanges.note(id, brief, brief.Deleted, s.volumeChanges.next) {
		s.volumeChanges.changed.raise()
	}
}
