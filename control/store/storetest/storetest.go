// Package storetest checks that a store keeps the contract of package store.
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Place {
//			path := filepath.Join(t.TempDir(), "control.db")
//			return func() (store.Store, error) { return bolt.Open(path) }
//		})
//	}
//
// A new store is done when it passes: the control service asks for nothing else.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// A Place is where a store lives. Calling it opens the store there: empty at first, later with
// all that was written before. The suite closes each store before it opens the next.
type Place func() (store.Store, error)

// patience bounds what should be immediate, on a machine that is busy with other things.
const patience = 30 * time.Second

// Run runs the suite. Each test gets a place of its own from fresh.
func Run(t *testing.T, fresh func(*testing.T) Place) {
	tests := []struct {
		name string
		test func(*testing.T, Place)
	}{
		{"a new store is empty and at revision zero", testEmpty},
		{"each write has a revision of its own, and so have its records", testRevisions},
		{"an empty batch changes nothing", testEmptyBatch},
		{"a condition holds for exactly one revision of a record", testConditions},
		{"a batch is applied whole or not at all", testAtomicity},
		{"what was written is there after a restart", testReopen},
		{"the store and its callers share no memory", testAliasing},
		{"Changed returns at once for an older revision and waits for a newer one", testChanged},
		{"Changed ends with its context", testChangedContext},
		{"a context that has ended changes nothing", testEndedContext},
		{"a closed store refuses all calls and frees all who wait", testClosed},
		{"of concurrent conditional writes exactly one succeeds", testRace},
		{"concurrent writers see one order of writes", testConcurrency},
		{"any sequence of writes and restarts ends where a map would", testModel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, fresh(t)) })
	}
}

func open(t *testing.T, place Place) store.Store {
	t.Helper()
	s, err := place()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func write(t *testing.T, s store.Store, b store.Batch) cluster.Revision {
	t.Helper()
	rev, err := s.Write(t.Context(), b)
	if err != nil {
		t.Fatalf("write %v: %v", b, err)
	}
	return rev
}

func put(t *testing.T, s store.Store, key, value string) cluster.Revision {
	t.Helper()
	return write(t, s, store.Batch{Put: map[string][]byte{key: []byte(value)}})
}

func wantStale(t *testing.T, s store.Store, b store.Batch) {
	t.Helper()
	if rev, err := s.Write(t.Context(), b); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("write %v: revision %d, error %v; want ErrStale", b, rev, err)
	}
}

// wantRecords checks all that the store holds, and its revision.
func wantRecords(t *testing.T, s store.Store, want map[string]store.Record, revision cluster.Revision) {
	t.Helper()
	got, rev, err := s.Load(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if rev != revision {
		t.Errorf("the store is at revision %d, want %d", rev, revision)
	}
	if diff := difference(got, want); diff != "" {
		t.Error(diff)
	}
}

func value(s string, revision cluster.Revision) store.Record {
	return store.Record{Value: []byte(s), Revision: revision}
}
