package control

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// A changelog knows what of some values changed since a revision, so that whoever keeps all of them is told
// what changed and not all. The service's mu guards it.
type changelog[K cmp.Ordered, V any] struct {
	// entries are in the order of their revisions. One whose key has a newer one does not count any more.
	entries []*entry[K, V]
	newest  map[K]*entry[K, V]
	// from is where it begins: who knows less is told everything.
	from cluster.Revision
	// full is how many entries there are before those are thrown away that nobody needs.
	full int
}

type entry[K cmp.Ordered, V any] struct {
	revision cluster.Revision
	key      K
	value    V
	gone     bool
}

// mostGone is how many keys are remembered that are gone. Who has not heard of one that is forgotten is told
// everything.
const mostGone = 1000

// note takes in what the value of a key is now, or that it is gone. It reports whether that is news.
func (c *changelog[K, V]) note(key K, value V, gone bool, next func() cluster.Revision) bool {
	switch was, known := c.newest[key]; {
	case gone && (!known || was.gone):
		return false
	case known && !was.gone && !gone && reflect.DeepEqual(was.value, value):
		return false
	}
	if c.newest == nil {
		c.newest = map[K]*entry[K, V]{}
	}
	e := &entry[K, V]{next(), key, value, gone}
	c.entries, c.newest[key] = append(c.entries, e), e
	if len(c.entries) > c.full {
		c.tidy()
	}
	return true
}

// noteTable notes those values of a table.
func noteTable[K cmp.Ordered, V any](c *changelog[K, V], ids []K, t *records.Table[K, V], next func() cluster.Revision) {
	for _, id := range ids {
		v, exists := t.Get(id)
		c.note(id, v, !exists, next)
	}
}

// keys returns those that it has and those of a table.
func keys[K cmp.Ordered, V, W any](c *changelog[K, V], t *records.Table[K, W]) []K {
	all := records.Sorted(c.newest)
	for _, id := range t.IDs() {
		if c.newest[id] == nil {
			all = append(all, id)
		}
	}
	return all
}

// tidy throws away what was overtaken, and the deletions that are longest ago.
func (c *changelog[K, V]) tidy() {
	var kept []*entry[K, V]
	gone := 0
	for _, e := range slices.Backward(c.entries) {
		switch {
		case c.newest[e.key] != e:
			continue
		case e.gone && gone == mostGone:
			delete(c.newest, e.key)
			c.from = max(c.from, e.revision)
			continue
		case e.gone:
			gone++
		}
		kept = append(kept, e)
	}
	slices.Reverse(kept)
	c.entries, c.full = kept, 2*len(kept)+mostGone
}

// after returns the index of the first entry that is newer than a revision.
func (c *changelog[K, V]) after(revision cluster.Revision) int {
	at, _ := slices.BinarySearchFunc(c.entries, revision+1,
		func(e *entry[K, V], revision cluster.Revision) int { return cmp.Compare(e.revision, revision) })
	return at
}

// last returns the revision of the last change up to a revision: since both, the same has changed.
func (c *changelog[K, V]) last(revision cluster.Revision) cluster.Revision {
	at := c.after(revision)
	if at == 0 {
		return c.from
	}
	return max(c.from, c.entries[at-1].revision)
}

// since returns the newest entry of each key that changed since a revision.
func (c *changelog[K, V]) since(revision cluster.Revision) []*entry[K, V] {
	var changed []*entry[K, V]
	for _, e := range c.entries[c.after(revision):] {
		if c.newest[e.key] == e {
			changed = append(changed, e)
		}
	}
	return changed
}

// split returns the values that are new or changed since a revision, and the keys that are gone.
func (c *changelog[K, V]) split(revision cluster.Revision) (values []V, gone []K) {
	for _, e := range c.since(revision) {
		if e.gone {
			gone = append(gone, e.key)
		} else {
			values = append(values, e.value)
		}
	}
	return values, gone
}
