package records

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// A Table holds all values of one noun. That of a Model is as the store has them; that of a Tx lies
// over it, with the changes of one write. Values are immutable: what a table has given out is never
// changed.
type Table[K cmp.Ordered, V any] struct {
	noun  string
	id    func(V) K
	index func(x *Index, was, is *V) // notes a change; nil: the noun has no index
	rows  Map[K, *row[V]]

	// changes are what is not in the store yet; nil in the table of a Model, which nobody may change.
	changes map[K]*row[V] // nil: deleted
	err     error         // the first value that could not be encoded
}

// A row is a value, its encoding, and the revision of its record.
type row[V any] struct {
	value    V
	data     []byte
	revision cluster.Revision
}

// Key returns the key of the record of a value.
func (t *Table[K, V]) Key(id K) string { return t.noun + "/" + fmt.Sprint(id) }

// Get returns the value of that id, as it shall be.
func (t *Table[K, V]) Get(id K) (V, bool) {
	if r, changed := t.changes[id]; changed {
		if r == nil {
			var none V
			return none, false
		}
		return r.value, true
	}
	if r, ok := t.rows.Get(id); ok {
		return r.value, true
	}
	var none V
	return none, false
}

// Len returns how many values the store has.
func (t *Table[K, V]) Len() int { return t.rows.Len() }

// Each yields every value, in no order.
func (t *Table[K, V]) Each() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for id, r := range t.changes {
			if r != nil && !yield(id, r.value) {
				return
			}
		}
		for id, r := range t.rows.All() {
			if _, changed := t.changes[id]; !changed && !yield(id, r.value) {
				return
			}
		}
	}
}

// Rows yields the record of every value that the store has, in no order.
func (t *Table[K, V]) Rows() iter.Seq2[K, store.Record] {
	return func(yield func(K, store.Record) bool) {
		for id, r := range t.rows.All() {
			if !yield(id, store.Record{Value: r.data, Revision: r.revision}) {
				return
			}
		}
	}
}

// IDs returns the ids of all values, sorted.
func (t *Table[K, V]) IDs() []K {
	var ids []K
	for id := range t.Each() {
		ids = append(ids, id)
	}
	if len(t.changes) > 0 {
		slices.Sort(ids)
	}
	return ids
}

// All yields every value in the order of the ids.
func (t *Table[K, V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		if len(t.changes) == 0 {
			for _, r := range t.rows.All() {
				if !yield(r.value) {
					return
				}
			}
			return
		}
		for _, id := range t.IDs() {
			if v, ok := t.Get(id); ok && !yield(v) {
				return
			}
		}
	}
}

// The rest is what a Model does with every table, whatever its noun is.
type table interface {
	name() string
	load(store.Record) error
	over(table)
	same(table)
	build(*Index)
	stage(*store.Batch, Guards) error
	apply(table, *Index, cluster.Revision)
}

func (t *Table[K, V]) name() string { return t.noun }

// Written returns the revision of the write that put a value there; zero if there is none.
func (t *Table[K, V]) Written(id K) cluster.Revision {
	if r, ok := t.rows.Get(id); ok {
		return r.revision
	}
	return 0
}

// load adds the value of a record.
func (t *Table[K, V]) load(r store.Record) error {
	var v V
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return err
	}
	t.rows.Put(t.id(v), &row[V]{v, r.Value, r.Revision})
	return nil
}

// over lays an empty table over another one of its noun.
func (t *Table[K, V]) over(base table) {
	t.rows, t.changes = base.(*Table[K, V]).rows, map[K]*row[V]{}
}

// same makes an empty table the same as another one of its noun.
func (t *Table[K, V]) same(as table) { t.rows = as.(*Table[K, V]).rows }

// build notes all values in an index.
func (t *Table[K, V]) build(x *Index) {
	if t.index == nil {
		return
	}
	for _, r := range t.rows.All() {
		t.index(x, nil, &r.value)
	}
}
