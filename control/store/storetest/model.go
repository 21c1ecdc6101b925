package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// A reference does in a few lines what every store must do.
type reference struct {
	records  map[string]store.Record
	revision cluster.Revision
}

func (m *reference) write(b store.Batch) error {
	for _, c := range b.If {
		if m.records[c.Key].Revision != c.Revision {
			return cluster.ErrStale
		}
	}
	if len(b.Put)+len(b.Delete) == 0 {
		return nil
	}
	m.revision++
	for _, key := range b.Delete {
		delete(m.records, key)
	}
	for key, v := range b.Put {
		m.records[key] = store.Record{Value: v, Revision: m.revision}
	}
	return nil
}

func testModel(t *testing.T, place Place) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	s := open(t, place)
	m := &reference{records: map[string]store.Record{}}
	for step := range 60 {
		if random.IntN(12) == 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, place)
		}
		b := randomBatch(random, m, step)
		rev, err := s.Write(t.Context(), b)
		switch want := m.write(b); {
		case want != nil && !errors.Is(err, want), want == nil && err != nil:
			t.Fatalf("seed %d step %d: write %v: %v, want %v", seed, step, b, err, want)
		case want == nil && rev != m.revision:
			// The contract leaves gaps open; these stores, one writer each, have none.
			t.Fatalf("seed %d step %d: revision %d, want %d", seed, step, rev, m.revision)
		}
		wantRecords(t, s, maps.Clone(m.records), m.revision)
		if t.Failed() {
			t.Fatalf("seed %d step %d: after %v", seed, step, b)
		}
	}
}

func randomBatch(random *rand.Rand, m *reference, step int) store.Batch {
	b := store.Batch{Put: map[string][]byte{}}
	for i := range 5 {
		key := fmt.Sprintf("noun/%d", i)
		switch random.IntN(4) {
		case 0:
			b.Put[key] = fmt.Appendf(nil, "step %d", step)
		case 1:
			b.Delete = append(b.Delete, key)
		}
		if random.IntN(3) == 0 {
			revision := m.records[key].Revision
			if random.IntN(8) == 0 {
				revision++
			}
			b.If = append(b.If, store.Condition{Key: key, Revision: revision})
		}
	}
	return b
}
