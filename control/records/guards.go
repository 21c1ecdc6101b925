package records

import (
	"cmp"

	"github.com/drover/drover/cluster"
)

// Guards are the records that a write depends on: each must still have the revision that it was read
// at. They keep two services on one store from acting on what is no longer so.
type Guards map[string]cluster.Revision

// Guard makes a write depend on the record of a value being as it was read.
func Guard[K cmp.Ordered, V any](g Guards, t *Table[K, V], id K) {
	g[t.Key(id)] = t.Written(id)
}
