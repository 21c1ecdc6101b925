package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

func testEmpty(t *testing.T, place Place) {
	wantRecords(t, open(t, place), nil, 0)
}

func testRevisions(t *testing.T, place Place) {
	s := open(t, place)
	first := put(t, s, "a", "1")
	second := write(t, s, store.Batch{Put: map[string][]byte{"b": []byte("2"), "empty": nil}})
	third := put(t, s, "a", "1")
	if !(0 < first && first < second && second < third) {
		t.Errorf("revisions %d, %d, %d do not grow", first, second, third)
	}
	wantRecords(t, s, map[string]store.Record{
		"a": value("1", third), "b": value("2", second), "empty": value("", second),
	}, third)

	fourth := write(t, s, store.Batch{Delete: []string{"a", "never there"}})
	wantRecords(t, s, map[string]store.Record{"b": value("2", second), "empty": value("", second)}, fourth)
}

func testEmptyBatch(t *testing.T, place Place) {
	s := open(t, place)
	rev := put(t, s, "a", "1")
	if got := write(t, s, store.Batch{}); got != rev {
		t.Errorf("an empty batch returned revision %d, want %d", got, rev)
	}
	if got := write(t, s, store.Batch{If: []store.Condition{{Key: "a", Revision: rev}}}); got != rev {
		t.Errorf("a batch of a condition that holds returned revision %d, want %d", got, rev)
	}
	wantStale(t, s, store.Batch{If: []store.Condition{{Key: "a", Revision: rev + 1}}})
	wantRecords(t, s, map[string]store.Record{"a": value("1", rev)}, rev)
}

func testConditions(t *testing.T, place Place) {
	s := open(t, place)
	batch := func(key string, revision cluster.Revision) store.Batch {
		return store.Batch{If: []store.Condition{{Key: key, Revision: revision}}, Put: map[string][]byte{"a": []byte("x")}}
	}
	wantStale(t, s, batch("a", 1)) // not there
	born := write(t, s, batch("a", 0))
	wantStale(t, s, batch("a", 0)) // there
	wantStale(t, s, batch("a", born+1))
	grown := write(t, s, batch("a", born))
	wantStale(t, s, batch("a", born)) // changed since, though to the same value
	put(t, s, "b", "other")
	write(t, s, batch("a", grown)) // what happens to another record does not matter

	write(t, s, store.Batch{Delete: []string{"a"}})
	wantStale(t, s, batch("a", grown))
	again := write(t, s, batch("a", 0))
	if again <= grown {
		t.Errorf("a record that was deleted and made again has revision %d, not above %d", again, grown)
	}
	wantStale(t, s, batch("a", grown))
}

func testAtomicity(t *testing.T, place Place) {
	s := open(t, place)
	first := write(t, s, store.Batch{Put: map[string][]byte{"a": []byte("1"), "b": []byte("1")}})
	wantStale(t, s, store.Batch{
		If:     []store.Condition{{Key: "a", Revision: first}, {Key: "b", Revision: first + 7}},
		Put:    map[string][]byte{"a": []byte("2"), "c": []byte("2")},
		Delete: []string{"b"},
	})
	wantRecords(t, s, map[string]store.Record{"a": value("1", first), "b": value("1", first)}, first)
}

func testReopen(t *testing.T, place Place) {
	s := open(t, place)
	first := put(t, s, "a", "1")
	second := put(t, s, "b", "2")
	third := write(t, s, store.Batch{Delete: []string{"a"}})
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}

	s = open(t, place)
	wantRecords(t, s, map[string]store.Record{"b": value("2", second)}, third)
	wantStale(t, s, store.Batch{If: []store.Condition{{Key: "a", Revision: first}}})
	if next := put(t, s, "a", "3"); next <= third {
		t.Errorf("the first write after a restart has revision %d, not above %d", next, third)
	}
}

func testAliasing(t *testing.T, place Place) {
	s := open(t, place)
	mine := []byte("1")
	rev := write(t, s, store.Batch{Put: map[string][]byte{"a": mine}})
	mine[0] = 'x'
	loaded, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	loaded["a"].Value[0] = 'y'
	delete(loaded, "a")
	wantRecords(t, s, map[string]store.Record{"a": value("1", rev)}, rev)
}

func testEndedContext(t *testing.T, place Place) {
	s := open(t, place)
	rev := put(t, s, "a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Write(ctx, store.Batch{Put: map[string][]byte{"a": []byte("2")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v, want the error of the context", err)
	}
	wantRecords(t, s, map[string]store.Record{"a": value("1", rev)}, rev)
}

// difference says how two sets of records differ; empty if they do not.
func difference(got, want map[string]store.Record) string {
	var out bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[key]
		w := want[key]
		if !ok || !bytes.Equal(g.Value, w.Value) || g.Revision != w.Revision {
			fmt.Fprintf(&out, "record %s: got %q at %d (there: %t), want %q at %d\n", key, g.Value, g.Revision, ok, w.Value, w.Revision)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			fmt.Fprintf(&out, "record %s is there, want none\n", key)
		}
	}
	return out.String()
}
