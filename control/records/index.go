package records

import "github.com/drover/drover/cluster"

// An Index answers, without a walk over the cluster, what a model is asked all the time.
type Index struct {
	// Users maps each volume to the application that uses it.
	Users map[cluster.VolumeID]cluster.AppName
	// Open maps each volume to its move that has not ended.
	Open map[cluster.VolumeID]cluster.MoveID
	// Owned are the volumes that each node owns, and owner is the same the other way round.
	Owned map[cluster.NodeID]Set[cluster.VolumeID]
	owner map[cluster.VolumeID]cluster.NodeID
	// Placed are the applications without a volume that are placed on each node, and Drained
	// those that go on running there until they are healthy elsewhere.
	Placed, Drained map[cluster.NodeID]Set[cluster.AppName]
	// Ownerless are the volumes that wait for their first owner, and Deleted those that are deleted.
	Ownerless, Deleted Set[cluster.VolumeID]
}

// A Set is some ids.
type Set[K comparable] map[K]struct{}

func newIndex() Index {
	return Index{
		Users:     map[cluster.VolumeID]cluster.AppName{},
		Open:      map[cluster.VolumeID]cluster.MoveID{},
		Owned:     map[cluster.NodeID]Set[cluster.VolumeID]{},
		owner:     map[cluster.VolumeID]cluster.NodeID{},
		Placed:    map[cluster.NodeID]Set[cluster.AppName]{},
		Drained:   map[cluster.NodeID]Set[cluster.AppName]{},
		Ownerless: Set[cluster.VolumeID]{},
		Deleted:   Set[cluster.VolumeID]{},
	}
}

// application notes a change of an application. Two that swap their volumes come one after the
// other, in any order.
func (x *Index) application(was, is *cluster.Application) {
	if was != nil {
		if was.Volume == nil {
			Remove(x.Placed, was.Node, was.Name)
		} else if x.Users[was.Volume.Volume] == was.Name {
			delete(x.Users, was.Volume.Volume)
		}
	}
	switch {
	case is == nil:
	case is.Volume != nil:
		x.Users[is.Volume.Volume] = is.Name
	case is.Node != "":
		Add(x.Placed, is.Node, is.Name)
	}
}

func (x *Index) drain(was, is *Drain) {
	if was != nil {
		Remove(x.Drained, was.Node, was.Application)
	}
	if is != nil {
		Add(x.Drained, is.Node, is.Application)
	}
}

func (x *Index) move(was, is *cluster.Move) {
	if was != nil && x.Open[was.Volume] == was.ID {
		delete(x.Open, was.Volume)
	}
	if is != nil && !is.Phase.Ended() {
		x.Open[is.Volume] = is.ID
	}
}

// volume notes a change of a volume. Ownerships come before volumes.
func (x *Index) volume(was, is *cluster.Volume) {
	if was != nil {
		delete(x.Ownerless, was.ID)
		delete(x.Deleted, was.ID)
	}
	if is == nil {
		return
	}
	if is.Deleted {
		x.Deleted[is.ID] = struct{}{}
		return
	}
	if _, owned := x.owner[is.ID]; !owned {
		x.Ownerless[is.ID] = struct{}{}
	}
}

func (x *Index) ownership(was, is *cluster.Ownership) {
	if was != nil {
		Remove(x.Owned, was.Owner, was.Volume)
		delete(x.owner, was.Volume)
	}
	if is != nil {
		Add(x.Owned, is.Owner, is.Volume)
		x.owner[is.Volume] = is.Owner
		delete(x.Ownerless, is.Volume)
	}
}

// Add puts a value into the set of a key.
func Add[K, V comparable](sets map[K]Set[V], k K, v V) {
	if sets[k] == nil {
		sets[k] = Set[V]{}
	}
	sets[k][v] = struct{}{}
}

// Remove takes a value out of the set of a key.
func Remove[K, V comparable](sets map[K]Set[V], k K, v V) {
	delete(sets[k], v)
	if len(sets[k]) == 0 {
		delete(sets, k)
	}
}
