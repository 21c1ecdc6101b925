package control

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// The records that are not of a noun.
const (
	// headKey is the record whose revision is the configuration's: it is written whenever
	// anything of the configuration is.
	headKey = "configuration"
	// startKey is the record that each start of the service writes.
	startKey = "service/start"
	// eventPrefix starts the keys of events; their ids follow, in 20 digits.
	eventPrefix = "event/"
)

// A model is all that the service must not lose: what the store holds, decoded and indexed.
type model struct {
	revision cluster.Revision // of the store
	head     cluster.Revision // of the configuration

	applications *table[cluster.AppName, cluster.Application]
	volumes      *table[cluster.VolumeID, cluster.Volume]
	leases       *table[cluster.VolumeID, cluster.Lease]
	ownerships   *table[cluster.VolumeID, cluster.Ownership]
	moves        *table[cluster.MoveID, cluster.Move]
	nodes        *table[cluster.NodeID, cluster.Node]
	routes       *table[int, cluster.Route]
	departures   *table[cluster.AppName, departure]
	keys         *table[string, cluster.UserKey]

	events []cluster.Event // by id
	index  index
}

// A departure is an application without a volume that goes on running on the node that it was
// placed on before, until it is healthy on the node where it is placed now.
type departure struct {
	Application cluster.AppName `json:"application"`
	Node        cluster.NodeID  `json:"node"`
}

func newModel() *model {
	return &model{
		applications: newTable("application", func(a cluster.Application) cluster.AppName { return a.Name }),
		volumes:      newTable("volume", func(v cluster.Volume) cluster.VolumeID { return v.ID }),
		leases:       newTable("lease", func(l cluster.Lease) cluster.VolumeID { return l.Volume }),
		ownerships:   newTable("ownership", func(o cluster.Ownership) cluster.VolumeID { return o.Volume }),
		moves:        newTable("move", func(m cluster.Move) cluster.MoveID { return m.ID }),
		nodes:        newTable("node", func(n cluster.Node) cluster.NodeID { return n.ID }),
		routes:       newTable("route", func(r cluster.Route) int { return r.External }),
		departures:   newTable("departure", func(d departure) cluster.AppName { return d.Application }),
		keys:         newTable("key", func(k cluster.UserKey) string { return k.Name }),
		index:        newIndex(),
	}
}

// loadModel decodes what a store holds.
func loadModel(records map[string]store.Record, revision cluster.Revision) (*model, error) {
	m := newModel()
	m.revision = revision
	for key, r := range records {
		if err := m.load(key, r); err != nil {
			return nil, fmt.Errorf("read record %s: %w", key, err)
		}
	}
	slices.SortFunc(m.events, func(a, b cluster.Event) int { return cmp.Compare(a.ID, b.ID) })
	m.index.build(m)
	return m, nil
}

func (m *model) load(key string, r store.Record) error {
	noun, _, _ := strings.Cut(key, "/")
	switch noun {
	case m.applications.noun:
		return m.applications.load(r)
	case m.volumes.noun:
		return m.volumes.load(r)
	case m.leases.noun:
		return m.leases.load(r)
	case m.ownerships.noun:
		return m.ownerships.load(r)
	case m.moves.noun:
		return m.moves.load(r)
	case m.nodes.noun:
		return m.nodes.load(r)
	case m.routes.noun:
		return m.routes.load(r)
	case m.departures.noun:
		return m.departures.load(r)
	case m.keys.noun:
		return m.keys.load(r)
	case "event":
		var e cluster.Event
		err := json.Unmarshal(r.Value, &e)
		m.events = append(m.events, e)
		return err
	case headKey:
		m.head = r.Revision
	}
	// A noun that a newer version added is kept in the store and not looked at.
	return nil
}

// configuration returns the configuration; its values are those of the model.
func (m *model) configuration() cluster.Configuration {
	c := cluster.Configuration{
		Applications: make(map[cluster.AppName]cluster.Application, len(m.applications.rows)),
		Volumes:      make(map[cluster.VolumeID]cluster.Volume, len(m.volumes.rows)),
		Leases:       make(map[cluster.VolumeID]cluster.Lease, len(m.leases.rows)),
	}
	for name, r := range m.applications.rows {
		c.Applications[name] = r.value
	}
	for id, r := range m.volumes.rows {
		c.Volumes[id] = r.value
	}
	for id, r := range m.leases.rows {
		c.Leases[id] = r.value
	}
	return c
}

// volumeNamed returns the volume of that name or id that is not deleted.
func (m *model) volumeNamed(nameOrID string) (cluster.Volume, bool) {
	for _, r := range m.volumes.rows {
		if v := r.value; !v.Deleted && (v.Name == nameOrID || string(v.ID) == nameOrID) {
			return v, true
		}
	}
	return cluster.Volume{}, false
}

// user returns the application that uses a volume.
func (m *model) user(id cluster.VolumeID) (cluster.Application, bool) {
	return m.applications.get(m.index.users[id])
}

// openMove returns the move of a volume that has not ended.
func (m *model) openMove(id cluster.VolumeID) (cluster.Move, bool) {
	return m.moves.get(m.index.open[id])
}

// openMoves returns every move that has not ended, oldest first.
func (m *model) openMoves() []cluster.Move {
	var out []cluster.Move
	for _, id := range m.index.open {
		out = append(out, m.moves.rows[id].value)
	}
	slices.SortFunc(out, func(a, b cluster.Move) int {
		return cmp.Or(a.Requested.Compare(b.Requested), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// node says what a node is called.
func (m *model) node(id cluster.NodeID) string {
	n, _ := m.nodes.get(id)
	return cmp.Or(n.Name, string(id))
}

// volume says what a volume is called.
func (m *model) volume(id cluster.VolumeID) string {
	v, _ := m.volumes.get(id)
	return cmp.Or(v.Name, string(id))
}

// mover says what a move moves.
func (m *model) mover(move cluster.Move) string {
	return cmp.Or(string(move.Application), m.volume(move.Volume))
}

// list joins names for a sentence.
func list[K ~string](names []K) string {
	if len(names) == 0 {
		return "there are none"
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
