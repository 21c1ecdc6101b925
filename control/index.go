package control

import "github.com/drover/drover/cluster"

// An index answers, without a walk over the cluster, what a model is asked all the time.
type index struct {
	// users maps each volume to the application that uses it.
	users map[cluster.VolumeID]cluster.AppName
	// open maps each volume to its move that has not ended.
	open map[cluster.VolumeID]cluster.MoveID
	// owned are the volumes that each node owns.
	owned map[cluster.NodeID]set[cluster.VolumeID]
	// placed are the applications without a volume that are placed on each node, and leaving
	// those that go on running there until they are healthy elsewhere.
	placed, leaving map[cluster.NodeID]set[cluster.AppName]
	// ownerless are the volumes that wait for their first owner.
	ownerless set[cluster.VolumeID]
}

type set[K comparable] map[K]struct{}

func newIndex() index {
	return index{
		users:     map[cluster.VolumeID]cluster.AppName{},
		open:      map[cluster.VolumeID]cluster.MoveID{},
		owned:     map[cluster.NodeID]set[cluster.VolumeID]{},
		placed:    map[cluster.NodeID]set[cluster.AppName]{},
		leaving:   map[cluster.NodeID]set[cluster.AppName]{},
		ownerless: set[cluster.VolumeID]{},
	}
}

// build fills the index from the tables.
func (x *index) build(m *model) {
	for _, r := range m.applications.rows {
		x.application(nil, &r.value)
	}
	for _, r := range m.departures.rows {
		x.departure(nil, &r.value)
	}
	for _, r := range m.moves.rows {
		x.move(nil, &r.value)
	}
	for _, r := range m.ownerships.rows {
		x.ownership(nil, &r.value)
	}
	for id, r := range m.volumes.rows {
		_, owned := m.ownerships.rows[id]
		x.volume(&r.value, owned)
	}
}

// application notes a change of an application. Two that swap their volumes come one after the
// other, in any order.
func (x *index) application(was, is *cluster.Application) {
	if was != nil {
		if was.Volume == nil {
			remove(x.placed, was.Node, was.Name)
		} else if x.users[was.Volume.Volume] == was.Name {
			delete(x.users, was.Volume.Volume)
		}
	}
	switch {
	case is == nil:
	case is.Volume != nil:
		x.users[is.Volume.Volume] = is.Name
	case is.Node != "":
		add(x.placed, is.Node, is.Name)
	}
}

func (x *index) departure(was, is *departure) {
	if was != nil {
		remove(x.leaving, was.Node, was.Application)
	}
	if is != nil {
		add(x.leaving, is.Node, is.Application)
	}
}

func (x *index) move(was, is *cluster.Move) {
	if was != nil && x.open[was.Volume] == was.ID {
		delete(x.open, was.Volume)
	}
	if is != nil && !is.Phase.Ended() {
		x.open[is.Volume] = is.ID
	}
}

func (x *index) volume(is *cluster.Volume, owned bool) {
	if owned || is.Deleted {
		delete(x.ownerless, is.ID)
	} else {
		x.ownerless[is.ID] = struct{}{}
	}
}

func (x *index) ownership(was, is *cluster.Ownership) {
	if was != nil {
		remove(x.owned, was.Owner, was.Volume)
	}
	if is != nil {
		add(x.owned, is.Owner, is.Volume)
	}
}

func add[K, V comparable](sets map[K]set[V], k K, v V) {
	if sets[k] == nil {
		sets[k] = set[V]{}
	}
	sets[k][v] = struct{}{}
}

func remove[K, V comparable](sets map[K]set[V], k K, v V) {
	delete(sets[k], v)
	if len(sets[k]) == 0 {
		delete(sets, k)
	}
}
