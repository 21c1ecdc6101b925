package wire

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/drover/drover/cluster"
)

// AssignmentChanges is a cluster.Assignment for an agent that remembers an earlier one: it has what changed
// since then. What a cluster has costs nothing, what changes in it costs each agent that much.
type AssignmentChanges struct {
	// Of Routes, Nodes and Keys it has those that are new or changed.
	cluster.Assignment
	// Since is the revision that they are changes from, which may be before that of the earlier assignment.
	// Zero: this is all of a cluster.Assignment, and what follows is empty.
	Since cluster.Revision `json:"since,omitempty"`
	// Same: the node's own part is as it was, and left out.
	Same bool `json:"same,omitempty"`
	// What is gone.
	GoneRoutes []int            `json:"gone_routes,omitempty"`
	GoneNodes  []cluster.NodeID `json:"gone_nodes,omitempty"`
	GoneKeys   []string         `json:"gone_keys,omitempty"`

	// Kept: it is all of an assignment, but the routes, nodes and keys, which whoever asks said that it has.
	Kept bool `json:"kept,omitempty"`

	text   func() ([]byte, error)
	digest func() string
}

// Digest names the routes, nodes and keys of an assignment by what they are: an agent that has them from an earlier
// life of the service need not be told them again.
func Digest(a cluster.Assignment) string {
	text, err := json.Marshal(cluster.Assignment{Routes: append([]cluster.Route{}, a.Routes...), Nodes: append([]cluster.Node{}, a.Nodes...), Keys: a.Keys})
	if err != nil {
		return "" // which nobody has
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Named returns the same, of which digest returns the Digest.
func (c AssignmentChanges) Named(digest func() string) AssignmentChanges {
	c.digest = digest
	return c
}

// Without returns the same for who has the routes, nodes and keys of that Digest.
func (c AssignmentChanges) Without(digest string) AssignmentChanges {
	if digest == "" || c.digest == nil || c.digest() != digest {
		return c
	}
	c.Routes, c.Nodes, c.Keys, c.Kept = nil, nil, nil, true
	return c
}

// Shared returns the same, for many who are told it at the same moment: it is encoded once.
func (c AssignmentChanges) Shared() AssignmentChanges {
	alone := c
	c.text = sync.OnceValues(func() ([]byte, error) { return json.Marshal(alone) })
	return c
}

// With returns the same for a node whose own part has changed.
func (c AssignmentChanges) With(own cluster.Assignment) AssignmentChanges {
	own.Routes, own.Nodes, own.Keys = c.Routes, c.Nodes, c.Keys
	c.Assignment, c.Same, c.text = own, false, nil
	return c
}

// JSON returns it encoded.
func (c AssignmentChanges) JSON() ([]byte, error) {
	if c.text != nil {
		return c.text()
	}
	return json.Marshal(c)
}

// Onto returns the whole assignment, given the earlier one, which stays as it is. It costs what changed and
// one copy of each list that did.
func (c AssignmentChanges) Onto(earlier cluster.Assignment) (cluster.Assignment, error) {
	if c.Since == 0 {
		whole := c.Assignment
		if c.Kept {
			whole.Routes, whole.Nodes, whole.Keys = earlier.Routes, earlier.Nodes, earlier.Keys
		}
		return whole, nil
	}
	if c.Since > earlier.Revision {
		return cluster.Assignment{}, fmt.Errorf("changes since revision %d of an assignment, and what is known is revision %d", c.Since, earlier.Revision)
	}
	whole := c.Assignment
	if c.Same {
		whole = earlier
		whole.Revision = c.Revision
	}
	whole.Routes = merge(earlier.Routes, c.Routes, c.GoneRoutes, func(r cluster.Route) int { return r.External })
	whole.Nodes = merge(earlier.Nodes, c.Nodes, c.GoneNodes, func(n cluster.Node) cluster.NodeID { return n.ID })
	whole.Keys = merge(earlier.Keys, c.Keys, c.GoneKeys, func(k cluster.UserKey) string { return k.Name })
	return whole, nil
}

// merge returns what is there, in the order of the keys, without what is gone and with what is new or changed.
func merge[K cmp.Ordered, V any](there, changed []V, gone []K, key func(V) K) []V {
	if len(changed)+len(gone) == 0 {
		return there
	}
	byKey := func(a, b V) int { return cmp.Compare(key(a), key(b)) }
	changed, gone = slices.SortedFunc(slices.Values(changed), byKey), slices.Sorted(slices.Values(gone))
	out := make([]V, 0, len(there)+len(changed))
	for _, v := range there {
		k := key(v)
		for len(changed) > 0 && key(changed[0]) < k {
			out, changed = append(out, changed[0]), changed[1:]
		}
		for len(gone) > 0 && gone[0] < k {
			gone = gone[1:]
		}
		replaced := len(changed) > 0 && key(changed[0]) == k
		if removed := len(gone) > 0 && gone[0] == k; !replaced && !removed {
			out = append(out, v)
		}
	}
	return append(out, changed...)
}
