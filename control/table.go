package control

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// A table holds all values of one noun, as the store has them. Values are immutable: what a
// table has given out is never changed.
type table[K cmp.Ordered, V any] struct {
	noun string
	id   func(V) K
	rows map[K]row[V]
}

// A row is a value, its encoding, and the revision of its record.
type row[V any] struct {
	value    V
	data     []byte
	revision cluster.Revision
}

func newTable[K cmp.Ordered, V any](noun string, id func(V) K) *table[K, V] {
	return &table[K, V]{noun: noun, id: id, rows: map[K]row[V]{}}
}

func (t *table[K, V]) key(id K) string { return t.noun + "/" + fmt.Sprint(id) }

func (t *table[K, V]) get(id K) (V, bool) {
	r, ok := t.rows[id]
	return r.value, ok
}

// all yields every value in the order of the ids.
func (t *table[K, V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, id := range slices.Sorted(maps.Keys(t.rows)) {
			if !yield(t.rows[id].value) {
				return
			}
		}
	}
}

// load adds the value of a record.
func (t *table[K, V]) load(r store.Record) error {
	var v V
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return err
	}
	t.rows[t.id(v)] = row[V]{v, r.Value, r.Revision}
	return nil
}

// An overlay is a table with changes that are not in the store yet.
type overlay[K cmp.Ordered, V any] struct {
	*table[K, V]
	fresh map[K]*row[V] // nil: deleted
	err   error         // the first value that could not be encoded
}

func newOverlay[K cmp.Ordered, V any](t *table[K, V]) *overlay[K, V] {
	return &overlay[K, V]{table: t, fresh: map[K]*row[V]{}}
}

// get returns the value as it shall be.
func (o *overlay[K, V]) get(id K) (V, bool) {
	if r, ok := o.fresh[id]; ok {
		if r == nil {
			var none V
			return none, false
		}
		return r.value, true
	}
	return o.table.get(id)
}

// put sets a value and reports whether it differs from what was there.
func (o *overlay[K, V]) put(v V) bool {
	data, err := json.Marshal(v)
	if err != nil {
		o.err = cmp.Or(o.err, fmt.Errorf("encode %s: %w", o.key(o.id(v)), err))
		return false
	}
	id := o.id(v)
	stored, exists := o.rows[id]
	same := exists && bytes.Equal(stored.data, data)
	if r, drafted := o.fresh[id]; drafted {
		if r != nil && bytes.Equal(r.data, data) {
			return false
		}
	} else if same {
		return false
	}
	if same {
		delete(o.fresh, id)
	} else {
		o.fresh[id] = &row[V]{value: v, data: data}
	}
	return true
}

// drop deletes a value and reports whether the store has one.
func (o *overlay[K, V]) drop(id K) bool {
	if _, ok := o.rows[id]; !ok {
		delete(o.fresh, id)
		return false
	}
	o.fresh[id] = nil
	return true
}

// pin makes the write depend on the record being as it was read.
func (o *overlay[K, V]) pin(id K, conditions map[string]cluster.Revision) {
	conditions[o.key(id)] = o.rows[id].revision
}

// stage adds the changes to a batch; each depends on its record being as it was read.
func (o *overlay[K, V]) stage(b *store.Batch, conditions map[string]cluster.Revision) error {
	for id, r := range o.fresh {
		o.pin(id, conditions)
		if r == nil {
			b.Delete = append(b.Delete, o.key(id))
			continue
		}
		b.Put[o.key(id)] = r.data
	}
	return o.err
}

// apply makes the changes those of the table. For each, changed is told what was and what is;
// nil means that there is none.
func (o *overlay[K, V]) apply(revision cluster.Revision, changed func(was, is *V)) {
	for id, r := range o.fresh {
		var was, is *V
		if old, ok := o.rows[id]; ok {
			was = &old.value
		}
		if r == nil {
			delete(o.rows, id)
		} else {
			r.revision = revision
			o.rows[id] = *r
			is = &r.value
		}
		changed(was, is)
	}
}
