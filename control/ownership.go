package control

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/drover/drover/cluster"
)

// settle draws the consequences of a draft: first owners, births, the rules of moves, routes.
// Everything it does follows from what is, not from what just happened, so that it can be done
// again at any time.
func (d *draft) settle() {
	for len(d.unsettledVolumes) > 0 {
		volumes := d.unsettledVolumes
		d.unsettledVolumes = set[cluster.VolumeID]{}
		for _, id := range sorted(volumes) {
			d.settleVolume(id)
			if app, ok := d.user(id); ok {
				d.lookAt(app.Name)
			}
		}
	}
	for _, name := range sorted(d.unsettledApps) {
		d.settleApplication(name)
	}
}

// settleVolume applies the rules of ownership and moves to one volume.
func (d *draft) settleVolume(id cluster.VolumeID) {
	v, ok := d.volumes.get(id)
	if !ok {
		return
	}
	o, owned := d.ownerships.get(id)
	if !owned {
		d.firstOwner(v)
		return
	}
	if d.service.born(o) {
		o.Born = true
		d.putOwnership(o)
	}
	if m, open := d.openMove(id); open {
		d.advance(m, v, o)
	}
	d.beginMove(id)
}

// firstOwner makes the node where the user wants a new volume its owner: only if it never had
// one, and no node has a copy of it. What nodes hold that have not said so yet is unknown; they
// are waited for.
func (d *draft) firstOwner(v cluster.Volume) {
	if _, known := d.nodes.get(v.Primary); v.Deleted || !known {
		return
	}
	if what := d.service.ownerlessCopies(v); what != "" {
		d.conflict(v, what)
		return
	}
	if d.unheard() {
		return
	}
	d.putOwnership(cluster.Ownership{Volume: v.ID, Owner: v.Primary, Epoch: 1})
	d.event(cluster.Event{Volume: v.ID, Node: v.Primary, Kind: "owner",
		Message: fmt.Sprintf("%s is the first owner of volume %s", d.model.node(v.Primary), name(v))})
}

// conflict tells once of a conflict, not each time that it is met.
func (d *draft) conflict(v cluster.Volume, what string) {
	if d.conflicts[v.ID] == what || d.service.toldOf(v.ID) == what {
		return
	}
	d.conflicts[v.ID] = what
	d.event(cluster.Event{Volume: v.ID, Kind: "conflict", Message: what})
}

// toldOf returns the conflict of a volume that an event has told of.
func (s *Service) toldOf(id cluster.VolumeID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conflicts[id]
}

// ownerlessCopies says which nodes have a copy of a volume that never had an owner here; empty
// if none has.
func (s *Service) ownerlessCopies(v cluster.Volume) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ownerlessCopies(s.model, s.observed, v)
}

func ownerlessCopies(m *model, seen observed, v cluster.Volume) string {
	var on []string
	for _, node := range sorted(seen.copies[v.ID]) {
		c := seen.copies[v.ID][node]
		on = append(on, fmt.Sprintf("%s (%s, epoch %d)", m.node(node), c.Role, c.Epoch))
	}
	if len(on) == 0 {
		return ""
	}
	return fmt.Sprintf("volume %s has no owner on record, but there are copies on %s: it is not created anew over them", name(v), strings.Join(on, ", "))
}

// born reports whether the owner has reported its copy for the first time.
func (s *Service) born(o cluster.Ownership) bool {
	if o.Born {
		return false
	}
	c, ok := s.copiesOf(o.Volume)[o.Owner]
	return ok && c.Epoch == o.Epoch
}

// name says what a volume is called.
func name(v cluster.Volume) string {
	return cmp.Or(v.Name, string(v.ID))
}
