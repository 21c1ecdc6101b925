// Package mem is a store in memory, for tests and for clusters that need not outlive their
// process.
//
//	s := mem.New()
//	defer s.Close()
//	again := s.Reopen()   // what a process would find after a restart
//
// It keeps every promise of the contract but one: nothing is on disk.
package mem

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// A Store keeps records in memory. It implements store.Store. Use New.
type Store struct {
	mu       sync.Mutex
	records  map[string]store.Record
	revision cluster.Revision
	closed   bool
	moved    chan struct{} // closed and replaced at each write, and at Close
}

// New returns an empty store.
func New() *Store {
	return &Store{records: map[string]store.Record{}, moved: make(chan struct{})}
}

// Reopen closes the store and returns another one with what it held, as a process that was
// killed and started again would find it.
func (s *Store) Reopen() *Store {
	s.Close()
	return s.Backup()
}

// Backup returns a store with what this one holds now, and goes on.
func (s *Store) Backup() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Store{records: maps.Clone(s.records), revision: s.revision, moved: make(chan struct{})}
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context) (map[string]store.Record, cluster.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, 0, fmt.Errorf("load records: %w", err)
	}
	out := make(map[string]store.Record, len(s.records))
	for key, r := range s.records {
		out[key] = store.Record{Value: slices.Clone(r.Value), Revision: r.Revision}
	}
	return out, s.revision, nil
}

// Write implements store.Store.
func (s *Store) Write(ctx context.Context, b store.Batch) (cluster.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, fmt.Errorf("write records: %w", err)
	}
	for _, c := range b.If {
		if have := s.records[c.Key].Revision; have != c.Revision {
			return 0, fmt.Errorf("write records: %w: %s is at revision %d, not %d", cluster.ErrStale, c.Key, have, c.Revision)
		}
	}
	if len(b.Put) == 0 && len(b.Delete) == 0 {
		return s.revision, nil
	}
	s.revision++
	for _, key := range b.Delete {
		delete(s.records, key)
	}
	for key, value := range b.Put {
		s.records[key] = store.Record{Value: slices.Clone(value), Revision: s.revision}
	}
	s.wake()
	return s.revision, nil
}

// Changed implements store.Store.
func (s *Store) Changed(ctx context.Context, since cluster.Revision) (cluster.Revision, error) {
	for {
		s.mu.Lock()
		err, revision, moved := s.usable(ctx), s.revision, s.moved
		s.mu.Unlock()
		if err != nil {
			return 0, fmt.Errorf("wait for a change: %w", err)
		}
		if revision > since {
			return revision, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// Close implements store.Store. Closing twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.wake()
	}
	return nil
}

func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return fmt.Errorf("%w: the store is closed", cluster.ErrUnavailable)
	}
	return ctx.Err()
}

// wake frees all who wait. The caller holds mu.
func (s *Store) wake() {
	close(s.moved)
	s.moved = make(chan struct{})
}
