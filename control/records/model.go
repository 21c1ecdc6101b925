// Package records is all that the control service must not lose, as values in memory, and how it is
// changed:
//
//	m, err := records.Load(what the store holds)
//	tx := m.Begin()                    // a write in the making, over the model
//	tx.Volumes.Put(v)
//	batch, err := tx.Batch()           // what the store is asked to do, and under which conditions
//	m = tx.Outcome(revision)           // it has done it: the model as the write made it
//
// The package decides nothing (package rules does) and waits for nothing.
package records

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
	// eventNoun starts the keys of events; their ids follow, in 20 digits.
	eventNoun = "event"
)

// A Model is all that the service must not lose: what the store holds, decoded and indexed. Once it is loaded
// nothing in it changes: a write makes another one, which shares with it what the write does not touch.
type Model struct {
	Revision cluster.Revision // of the store
	Head     cluster.Revision // of the configuration

	*Nouns
	Events []cluster.Event // by id
	// eventsOf counts them by node.
	eventsOf Map[cluster.NodeID, int]
	Index    Index
}

// New returns the model of an empty store.
func New() *Model {
	return &Model{Nouns: newNouns()}
}

// Load decodes what a store holds.
func Load(records map[string]store.Record, revision cluster.Revision) (*Model, error) {
	m := New()
	m.Revision = revision
	for key, r := range records {
		if err := m.load(key, r); err != nil {
			return nil, fmt.Errorf("read record %s: %w", key, err)
		}
	}
	slices.SortFunc(m.Events, func(a, b cluster.Event) int { return cmp.Compare(a.ID, b.ID) })
	m.build()
	return m, nil
}

func (m *Model) load(key string, r store.Record) error {
	noun, _, _ := strings.Cut(key, "/")
	for _, t := range m.list {
		if t.name() == noun {
			return t.load(r)
		}
	}
	switch noun {
	case eventNoun:
		var e cluster.Event
		err := json.Unmarshal(r.Value, &e)
		m.Events = append(m.Events, e)
		m.eventsOf.Put(e.Node, m.eventsOf.At(e.Node)+1)
		return err
	case headKey:
		m.Head = r.Revision
	}
	// A noun that a newer version added is kept in the store and not looked at.
	return nil
}

// build fills the index from the tables.
func (m *Model) build() {
	m.Index = Index{}
	for _, t := range m.list {
		t.build(&m.Index)
	}
}

// clone returns a model of which everything but the rows of its tables, which it shares, is its own.
func (m *Model) clone() *Model {
	c := &Model{Revision: m.Revision, Head: m.Head, Nouns: newNouns(), Events: m.Events, eventsOf: m.eventsOf.Clone(), Index: m.Index.clone()}
	for i, t := range c.list {
		t.same(m.list[i])
	}
	return c
}

// User returns the application that uses a volume.
func (m *Model) User(id cluster.VolumeID) (cluster.Application, bool) {
	return m.Applications.Get(m.Index.Users.At(id))
}

// OpenMove returns the move of a volume that has not ended.
func (m *Model) OpenMove(id cluster.VolumeID) (cluster.Move, bool) {
	return m.Moves.Get(m.Index.Open.At(id))
}

// OpenMoves returns every move that has not ended, oldest first.
func (m *Model) OpenMoves() []cluster.Move {
	var out []cluster.Move
	for _, id := range m.Index.Open.All() {
		move, _ := m.Moves.Get(id)
		out = append(out, move)
	}
	slices.SortFunc(out, func(a, b cluster.Move) int {
		return cmp.Or(a.Requested.Compare(b.Requested), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Sorted returns the keys of a map, sorted.
func Sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
