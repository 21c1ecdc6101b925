package control

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// A draft is one write in the making: the model with changes. What is changed through its
// methods is also noted as in need of being settled, and for the nodes that it concerns.
type draft struct {
	service *Service
	model   *model // as it is; not changed

	applications *overlay[cluster.AppName, cluster.Application]
	volumes      *overlay[cluster.VolumeID, cluster.Volume]
	leases       *overlay[cluster.VolumeID, cluster.Lease]
	ownerships   *overlay[cluster.VolumeID, cluster.Ownership]
	moves        *overlay[cluster.MoveID, cluster.Move]
	nodes        *overlay[cluster.NodeID, cluster.Node]
	routes       *overlay[int, cluster.Route]
	departures   *overlay[cluster.AppName, departure]
	keys         *overlay[string, cluster.UserKey]
	events       []cluster.Event
	start        bool // the service starts

	// What to settle: volumes and applications of which something changed.
	unsettledVolumes set[cluster.VolumeID]
	unsettledApps    set[cluster.AppName]
	// concerned are the nodes whose own part of a slice may have changed.
	concerned set[cluster.NodeID]
	// pins are records that the write depends on though it does not change them.
	pins map[string]cluster.Revision

	// unheard reports whether nodes may yet say what they hold.
	unheard func() bool

	users     map[cluster.VolumeID]cluster.AppName // of applications in this draft
	opened    map[cluster.VolumeID]cluster.MoveID  // moves that this draft began
	conflicts map[cluster.VolumeID]string          // those that this draft tells of
	revision  cluster.Revision                     // of the configuration, once written
}

func (s *Service) newDraft() *draft {
	m := s.model
	return &draft{
		service: s, model: m,
		applications: newOverlay(m.applications), volumes: newOverlay(m.volumes),
		leases: newOverlay(m.leases), ownerships: newOverlay(m.ownerships),
		moves: newOverlay(m.moves), nodes: newOverlay(m.nodes),
		routes: newOverlay(m.routes), departures: newOverlay(m.departures), keys: newOverlay(m.keys),
		unsettledVolumes: set[cluster.VolumeID]{}, unsettledApps: set[cluster.AppName]{},
		concerned: set[cluster.NodeID]{}, pins: map[string]cluster.Revision{},
		unheard: sync.OnceValue(s.unheard),
		users:   map[cluster.VolumeID]cluster.AppName{}, opened: map[cluster.VolumeID]cluster.MoveID{},
		conflicts: map[cluster.VolumeID]string{},
	}
}

// look asks for a volume to be settled though nothing of it changed in the draft: time went by,
// or a node reported.
func (d *draft) look(id cluster.VolumeID) { d.unsettledVolumes[id] = struct{}{} }

// lookAt asks the same for an application.
func (d *draft) lookAt(name cluster.AppName) { d.unsettledApps[name] = struct{}{} }

func (d *draft) concern(nodes ...cluster.NodeID) {
	for _, id := range nodes {
		d.concerned[id] = struct{}{}
	}
}

// concernVolume concerns the nodes that have to do with a volume.
func (d *draft) concernVolume(id cluster.VolumeID) {
	if o, ok := d.ownerships.get(id); ok {
		d.concern(o.Owner)
	}
	if m, ok := d.openMove(id); ok {
		d.concern(m.From, m.To)
	}
	for node := range d.service.copiesOf(id) {
		d.concern(node)
	}
}

func (d *draft) putApplication(a cluster.Application) {
	was, existed := d.applications.get(a.Name)
	if !d.applications.put(a) {
		return
	}
	if existed {
		d.forget(was)
	}
	d.concern(a.Node)
	d.lookAt(a.Name)
	if a.Volume != nil {
		d.users[a.Volume.Volume] = a.Name
		d.look(a.Volume.Volume)
		d.concernVolume(a.Volume.Volume)
	}
}

func (d *draft) dropApplication(a cluster.Application) {
	d.applications.drop(a.Name)
	d.forget(a)
}

// forget notes who is concerned by an application being no longer what it was.
func (d *draft) forget(was cluster.Application) {
	d.concern(was.Node)
	d.lookAt(was.Name)
	if was.Volume != nil {
		d.look(was.Volume.Volume)
		d.concernVolume(was.Volume.Volume)
	}
}

func (d *draft) putVolume(v cluster.Volume) {
	was, _ := d.volumes.get(v.ID)
	if d.volumes.put(dated(v, was)) {
		d.look(v.ID)
		d.concernVolume(v.ID)
	}
}

func (d *draft) putLease(l cluster.Lease) {
	if d.leases.put(l) {
		d.look(l.Volume)
	}
}

func (d *draft) dropLease(id cluster.VolumeID) {
	if d.leases.drop(id) {
		d.look(id)
	}
}

func (d *draft) putOwnership(o cluster.Ownership) {
	was, _ := d.ownerships.get(o.Volume)
	if d.ownerships.put(o) {
		d.volumes.pin(o.Volume, d.pins)
		d.look(o.Volume)
		d.concern(was.Owner)
		d.concernVolume(o.Volume)
	}
}

// putMove writes a move. What the rules of moves look at must not have changed meanwhile.
func (d *draft) putMove(m cluster.Move) {
	if d.moves.put(m) {
		d.volumes.pin(m.Volume, d.pins)
		d.ownerships.pin(m.Volume, d.pins)
		d.leases.pin(m.Volume, d.pins)
		d.look(m.Volume)
		d.concern(m.From, m.To)
	}
}

func (d *draft) putDeparture(is departure) {
	d.departures.put(is)
	d.concern(is.Node)
}

func (d *draft) dropDeparture(was departure) {
	d.departures.drop(was.Application)
	d.concern(was.Node)
	if app, ok := d.applications.get(was.Application); ok {
		d.concern(app.Node) // which now answers for its logs
	}
}

// user returns the application that uses a volume.
func (d *draft) user(id cluster.VolumeID) (cluster.Application, bool) {
	for _, name := range []cluster.AppName{d.users[id], d.model.index.users[id]} {
		if a, ok := d.applications.get(name); ok && a.Volume != nil && a.Volume.Volume == id {
			return a, true
		}
	}
	return cluster.Application{}, false
}

// openMove returns the move of a volume that has not ended, with the progress that was reported.
func (d *draft) openMove(id cluster.VolumeID) (cluster.Move, bool) {
	for _, open := range []cluster.MoveID{d.opened[id], d.model.index.open[id]} {
		if m, ok := d.move(open); ok && !m.Phase.Ended() {
			return m, true
		}
	}
	return cluster.Move{}, false
}

// move returns a move with the progress that was reported.
func (d *draft) move(id cluster.MoveID) (cluster.Move, bool) {
	m, ok := d.moves.get(id)
	if !ok {
		return m, false
	}
	return d.service.progressOf(id).merge(m), true
}

// changesConfiguration reports whether the draft changes anything that users wrote.
func (d *draft) changesConfiguration() bool {
	return len(d.applications.fresh)+len(d.volumes.fresh)+len(d.leases.fresh) > 0
}

// changesEveryone reports whether the draft changes what is part of every slice.
func (d *draft) changesEveryone() bool {
	return len(d.routes.fresh)+len(d.nodes.fresh)+len(d.keys.fresh) > 0
}

// batch returns the draft as one atomic write.
func (d *draft) batch() (store.Batch, error) {
	b := store.Batch{Put: map[string][]byte{}}
	conditions := map[string]cluster.Revision{}
	for _, table := range []interface {
		stage(*store.Batch, map[string]cluster.Revision) error
	}{d.applications, d.volumes, d.leases, d.ownerships, d.moves, d.nodes, d.routes, d.departures, d.keys} {
		if err := table.stage(&b, conditions); err != nil {
			return store.Batch{}, err
		}
	}
	for _, e := range d.events {
		data, err := json.Marshal(e)
		if err != nil {
			return store.Batch{}, fmt.Errorf("encode event %d: %w", e.ID, err)
		}
		b.Put[eventKey(e.ID)] = data
		conditions[eventKey(e.ID)] = 0
	}
	for _, e := range d.expiredEvents() {
		b.Delete = append(b.Delete, eventKey(e.ID))
	}
	if d.changesConfiguration() {
		conditions[headKey] = d.model.head
		b.Put[headKey] = []byte("{}")
	}
	if d.start {
		b.Put[startKey] = []byte(now().Format(`"2006-01-02T15:04:05Z07:00"`))
	}
	for key, revision := range d.pins {
		conditions[key] = revision
	}
	for key, revision := range conditions {
		b.If = append(b.If, store.Condition{Key: key, Revision: revision})
	}
	return b, nil
}
