package records

import (
	"cmp"
	"iter"
	"maps"
	"reflect"
	"slices"

	"github.com/google/btree"
)

// A Map is a map in the order of its keys. Clone costs the same however much it holds: both share what neither has
// changed since. Who reads a clone is not disturbed by changes of the other. The zero Map is empty.
type Map[K cmp.Ordered, V any] struct{ tree *btree.BTreeG[entry[K, V]] }

type entry[K cmp.Ordered, V any] struct {
	key   K
	value V
}

// degree bounds what a change of a map that was cloned copies: a node of the tree has at most twice as many entries.
const degree = 32

// Clone returns a map with the same values. Of one map there is one call at a time, with no change of it.
func (m *Map[K, V]) Clone() Map[K, V] {
	if m.tree == nil {
		return Map[K, V]{}
	}
	return Map[K, V]{m.tree.Clone()}
}

// Put sets the value of a key.
func (m *Map[K, V]) Put(key K, value V) {
	if m.tree == nil {
		m.tree = btree.NewG(degree, func(a, b entry[K, V]) bool { return a.key < b.key })
	}
	m.tree.ReplaceOrInsert(entry[K, V]{key, value})
}

// Delete takes a key out, if it is there.
func (m *Map[K, V]) Delete(key K) {
	if m.tree != nil {
		m.tree.Delete(entry[K, V]{key: key})
	}
}

// Get returns the value of a key; of one that is not there, no value.
func (m Map[K, V]) Get(key K) (V, bool) {
	if m.tree == nil {
		var none V
		return none, false
	}
	e, ok := m.tree.Get(entry[K, V]{key: key})
	return e.value, ok
}

// At returns the value of a key, or the zero value.
func (m Map[K, V]) At(key K) V {
	v, _ := m.Get(key)
	return v
}

// Len returns how many keys there are.
func (m Map[K, V]) Len() int {
	if m.tree == nil {
		return 0
	}
	return m.tree.Len()
}

// All yields every key with its value, in the order of the keys. The map must not be changed meanwhile.
func (m Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m.tree != nil {
			m.tree.Ascend(func(e entry[K, V]) bool { return yield(e.key, e.value) })
		}
	}
}

// Keys yields the keys in their order.
func (m Map[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		for key := range m.All() {
			if !yield(key) {
				return
			}
		}
	}
}

// Equal reports whether both have the same keys with the same values.
func (m Map[K, V]) Equal(other Map[K, V]) bool {
	return reflect.DeepEqual(maps.Collect(m.All()), maps.Collect(other.All()))
}

// Pairs are pairs of keys, each once, in their order: which B belong to which A. Clone is that of a Map. The zero
// Pairs are none.
type Pairs[A, B cmp.Ordered] struct{ tree *btree.BTreeG[pair[A, B]] }

type pair[A, B cmp.Ordered] struct {
	a A
	b B
}

func (p pair[A, B]) less(other pair[A, B]) bool {
	return cmp.Or(cmp.Compare(p.a, other.a), cmp.Compare(p.b, other.b)) < 0
}

// Clone returns the same pairs.
func (p *Pairs[A, B]) Clone() Pairs[A, B] {
	if p.tree == nil {
		return Pairs[A, B]{}
	}
	return Pairs[A, B]{p.tree.Clone()}
}

// Add adds a pair.
func (p *Pairs[A, B]) Add(a A, b B) {
	if p.tree == nil {
		p.tree = btree.NewG(degree, pair[A, B].less)
	}
	p.tree.ReplaceOrInsert(pair[A, B]{a, b})
}

// Remove takes a pair out, if it is there.
func (p *Pairs[A, B]) Remove(a A, b B) {
	if p.tree != nil {
		p.tree.Delete(pair[A, B]{a, b})
	}
}

// Of yields the B of an A, in their order. The pairs must not be changed meanwhile.
func (p Pairs[A, B]) Of(a A) iter.Seq[B] {
	return func(yield func(B) bool) {
		if p.tree == nil {
			return
		}
		var first B // the least one, since keys are numbers that are not negative, or texts
		p.tree.AscendGreaterOrEqual(pair[A, B]{a, first}, func(is pair[A, B]) bool { return is.a == a && yield(is.b) })
	}
}

// Any reports whether an A has a B.
func (p Pairs[A, B]) Any(a A) bool {
	for range p.Of(a) {
		return true
	}
	return false
}

// Has reports whether there is a pair.
func (p Pairs[A, B]) Has(a A, b B) bool { return p.tree != nil && p.tree.Has(pair[A, B]{a, b}) }

// Equal reports whether both have the same pairs.
func (p Pairs[A, B]) Equal(other Pairs[A, B]) bool {
	return slices.Equal(slices.Collect(p.pairs()), slices.Collect(other.pairs()))
}

func (p Pairs[A, B]) pairs() iter.Seq[pair[A, B]] {
	return func(yield func(pair[A, B]) bool) {
		if p.tree != nil {
			p.tree.Ascend(yield)
		}
	}
}
