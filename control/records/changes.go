package records

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// Put sets a value and reports whether it differs from what was there.
func (t *Table[K, V]) Put(v V) bool {
	id := t.id(v)
	data, err := json.Marshal(v)
	if err != nil {
		t.err = cmp.Or(t.err, fmt.Errorf("encode %s: %w", t.Key(id), err))
		return false
	}
	stored, exists := t.rows.Get(id)
	same := exists && bytes.Equal(stored.data, data)
	if r, changed := t.changes[id]; changed {
		if r != nil && bytes.Equal(r.data, data) {
			return false
		}
	} else if same {
		return false
	}
	if same {
		delete(t.changes, id)
	} else {
		t.changes[id] = &row[V]{value: v, data: data}
	}
	return true
}

// Drop deletes a value and reports whether the store has one.
func (t *Table[K, V]) Drop(id K) bool {
	if _, ok := t.rows.Get(id); !ok {
		delete(t.changes, id)
		return false
	}
	t.changes[id] = nil
	return true
}

// Changed returns the ids of the values that differ from what the store has.
func (t *Table[K, V]) Changed() []K {
	var ids []K
	for id := range t.changes {
		ids = append(ids, id)
	}
	return ids
}

// stage adds the changes to a batch; each depends on its record being as it was read.
func (t *Table[K, V]) stage(b *store.Batch, guards Guards) error {
	for id, r := range t.changes {
		Guard(guards, t, id)
		if r == nil {
			b.Delete = append(b.Delete, t.Key(id))
			continue
		}
		b.Put[t.Key(id)] = r.data
	}
	return t.err
}

// apply makes the changes those of a table of another model, and notes them in its index.
func (t *Table[K, V]) apply(to table, x *Index, revision cluster.Revision) {
	if len(t.changes) == 0 {
		return
	}
	rows := &to.(*Table[K, V]).rows
	*rows = rows.Clone()
	for id, r := range t.changes {
		var was, is *V
		if old, ok := rows.Get(id); ok {
			was = &old.value
		}
		if r == nil {
			rows.Delete(id)
		} else {
			rows.Put(id, &row[V]{r.value, r.data, revision})
			is = &r.value
		}
		if t.index != nil {
			t.index(x, was, is)
		}
	}
}
