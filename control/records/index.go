package records

import "github.com/drover/drover/cluster"

// An Index answers, without a walk over the cluster, what a model is asked all the time.
type Index struct {
	// Users maps each volume to the application that uses it.
	Users Map[cluster.VolumeID, cluster.AppName]
	// Open maps each volume to its move that has not ended.
	Open Map[cluster.VolumeID, cluster.MoveID]
	// Owned are the volumes that each node owns, and owner is the same the other way round.
	Owned Pairs[cluster.NodeID, cluster.VolumeID]
	owner Map[cluster.VolumeID, cluster.NodeID]
	// Placed are the applications without a volume that are placed on each node, and Drained
	// those that go on running there until they are healthy elsewhere.
	Placed, Drained Pairs[cluster.NodeID, cluster.AppName]
	// Ownerless are the volumes that wait for their first owner, and Deleted those that are deleted.
	Ownerless, Deleted Map[cluster.VolumeID, struct{}]
}

// A Set is some ids.
type Set[K comparable] map[K]struct{}

// clone returns an index that is changed without this one.
func (x *Index) clone() Index {
	return Index{
		Users: x.Users.Clone(), Open: x.Open.Clone(), Owned: x.Owned.Clone(), owner: x.owner.Clone(),
		Placed: x.Placed.Clone(), Drained: x.Drained.Clone(), Ownerless: x.Ownerless.Clone(), Deleted: x.Deleted.Clone(),
	}
}

// application notes a change of an application. Two that swap their volumes come one after the
// other, in any order.
func (x *Index) application(was, is *cluster.Application) {
	if was != nil {
		if was.Volume == nil {
			x.Placed.Remove(was.Node, was.Name)
		} else if x.Users.At(was.Volume.Volume) == was.Name {
			x.Users.Delete(was.Volume.Volume)
		}
	}
	switch {
	case is == nil:
	case is.Volume != nil:
		x.Users.Put(is.Volume.Volume, is.Name)
	case is.Node != "":
		x.Placed.Add(is.Node, is.Name)
	}
}

func (x *Index) drain(was, is *Drain) {
	if was != nil {
		x.Drained.Remove(was.Node, was.Application)
	}
	if is != nil {
		x.Drained.Add(is.Node, is.Application)
	}
}

func (x *Index) move(was, is *cluster.Move) {
	if was != nil && x.Open.At(was.Volume) == was.ID {
		x.Open.Delete(was.Volume)
	}
	if is != nil && !is.Phase.Ended() {
		x.Open.Put(is.Volume, is.ID)
	}
}

// volume notes a change of a volume. Ownerships come before volumes.
func (x *Index) volume(was, is *cluster.Volume) {
	if was != nil {
		x.Ownerless.Delete(was.ID)
		x.Deleted.Delete(was.ID)
	}
	if is == nil {
		return
	}
	if is.Deleted {
		x.Deleted.Put(is.ID, struct{}{})
		return
	}
	if _, owned := x.owner.Get(is.ID); !owned {
		x.Ownerless.Put(is.ID, struct{}{})
	}
}

func (x *Index) ownership(was, is *cluster.Ownership) {
	if was != nil {
		x.Owned.Remove(was.Owner, was.Volume)
		x.owner.Delete(was.Volume)
	}
	if is != nil {
		x.Owned.Add(is.Owner, is.Volume)
		x.owner.Put(is.Volume, is.Owner)
		x.Ownerless.Delete(is.Volume)
	}
}
