package control

import (
	"reflect"

	"github.com/drover/drover/cluster"
)

// observed is which copies of volumes the nodes have reported in this life of the service.
type observed struct {
	copies map[cluster.VolumeID]map[cluster.NodeID]cluster.VolumeState
	held   map[cluster.NodeID]set[cluster.VolumeID]
}

func newObserved() observed {
	return observed{
		copies: map[cluster.VolumeID]map[cluster.NodeID]cluster.VolumeState{},
		held:   map[cluster.NodeID]set[cluster.VolumeID]{},
	}
}

// clone returns a copy that shares nothing with o.
func (o observed) clone() observed {
	out := newObserved()
	for node, held := range o.held {
		for id := range held {
			out.put(node, o.copies[id][node])
		}
	}
	return out
}

func (o observed) put(node cluster.NodeID, v cluster.VolumeState) {
	if o.copies[v.Volume] == nil {
		o.copies[v.Volume] = map[cluster.NodeID]cluster.VolumeState{}
	}
	o.copies[v.Volume][node] = v
	add(o.held, node, v.Volume)
}

// report replaces what is known of a node's copies.
func (o observed) report(node cluster.NodeID, volumes []cluster.VolumeState) {
	for id := range o.held[node] {
		delete(o.copies[id], node)
		if len(o.copies[id]) == 0 {
			delete(o.copies, id)
		}
	}
	delete(o.held, node)
	for _, v := range volumes {
		o.put(node, v)
	}
}

// differences returns the volumes and applications of which two states say different things. A
// nil state says nothing, one that cannot see its volumes nothing of them.
func differences(was, is *cluster.NodeState) (set[cluster.VolumeID], set[cluster.AppName]) {
	if was == nil {
		was = &cluster.NodeState{}
	}
	if is == nil {
		is = &cluster.NodeState{}
	}
	if is.VolumesUnknown != "" {
		was, is = &cluster.NodeState{Applications: was.Applications}, &cluster.NodeState{Applications: is.Applications}
	}
	volumes := differing(was.Volumes, is.Volumes, func(v cluster.VolumeState) cluster.VolumeID { return v.Volume })
	apps := differing(was.Applications, is.Applications, func(a cluster.ApplicationState) cluster.AppName { return a.Name })
	return volumes, apps
}

// differing returns the ids of the values that are in one list only, or not equal in both.
func differing[K comparable, V any](was, is []V, id func(V) K) set[K] {
	before := make(map[K]V, len(was))
	for _, v := range was {
		before[id(v)] = v
	}
	out := set[K]{}
	for _, v := range is {
		old, ok := before[id(v)]
		if !ok || !reflect.DeepEqual(old, v) {
			out[id(v)] = struct{}{}
		}
		delete(before, id(v))
	}
	for k := range before {
		out[k] = struct{}{}
	}
	return out
}
