package flocker

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// A DatasetState is a dataset as the nodes see it. Primary and Path are both there or both not.
type DatasetState struct {
	ID          string `json:"dataset_id"`
	Primary     string `json:"primary,omitempty"`
	Path        string `json:"path,omitempty"`
	MaximumSize int64  `json:"maximum_size,omitempty"`
}

// DatasetStates returns each dataset of which a node has a copy once, sorted by id. Its primary is
// the node where applications can write to it now, so clients that wait for the primary find the
// data mounted: until then, and while it moves, the dataset is detached. When two nodes report it
// as writable, one of them has not heard of the newer epoch yet and is passed over.
func DatasetStates(nodes []wire.NodeStatus) []DatasetState {
	states := map[cluster.VolumeID]DatasetState{}
	epochs := map[cluster.VolumeID]cluster.Epoch{}
	for _, n := range nodes {
		for _, v := range n.State.Volumes {
			s := states[v.Volume]
			s.ID = string(v.Volume)
			s.MaximumSize = max(s.MaximumSize, v.MaximumSize)
			if v.Open && v.Role == cluster.Primary && v.Epoch >= epochs[v.Volume] {
				s.Primary, s.Path = string(n.Node.ID), v.Path
				epochs[v.Volume] = v.Epoch
			}
			states[v.Volume] = s
		}
	}
	sorted := make([]DatasetState, 0, len(states))
	for _, id := range slices.Sorted(maps.Keys(states)) {
		sorted = append(sorted, states[id])
	}
	return sorted
}

// A ContainerState is a container as its node sees it.
type ContainerState struct {
	Container
	Running bool `json:"running"`
}

// ContainerStates returns what the nodes report, sorted by name and node. A node reports little
// more than the name; the rest is from the configuration, as far as it still has the application.
func ContainerStates(c cluster.Configuration, nodes []wire.NodeStatus) []ContainerState {
	states := []ContainerState{}
	for _, n := range nodes {
		for _, reported := range n.State.Applications {
			app := c.Applications[reported.Name]
			app.Name = reported.Name
			app.Node = n.Node.ID
			s := ContainerState{containerOf(app), reported.Running}
			s.Swappiness = 0 // the one field that Flocker's state does not have
			states = append(states, s)
		}
	}
	slices.SortFunc(states, func(a, b ContainerState) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node, b.Node))
	})
	return states
}

// A NodeState is a node as Flocker's API writes it.
type NodeState struct {
	ID string `json:"uuid"`
	// Host is its address.
	Host string `json:"host"`
}

// nodeExpiry is how long after its last word Flocker showed a node.
const nodeExpiry = 120 * time.Second

// NodeStates returns the nodes that were heard of a short time ago, sorted by id.
func NodeStates(nodes []wire.NodeStatus, now time.Time) []NodeState {
	states := []NodeState{}
	for _, n := range nodes {
		if n.Live || now.Sub(n.Heard) < nodeExpiry {
			states = append(states, NodeState{string(n.Node.ID), n.Node.Address})
		}
	}
	slices.SortFunc(states, func(a, b NodeState) int { return cmp.Compare(a.ID, b.ID) })
	return states
}

// A NodeID is the answer to a search by era.
type NodeID struct {
	ID string `json:"uuid"`
}

// NodeByEra finds the node whose present boot has that era.
func NodeByEra(nodes []wire.NodeStatus, era string) (NodeID, error) {
	for _, n := range nodes {
		if n.Node.Era != "" && strings.EqualFold(n.Node.Era, era) {
			return NodeID{string(n.Node.ID)}, nil
		}
	}
	return NodeID{}, refuse(http.StatusNotFound, "No node found with given era.")
}
