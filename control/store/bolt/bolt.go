// Package bolt keeps the records of the control service in one bbolt file. It is the default
// store: a control service that is alone needs nothing else.
//
//	s, err := bolt.Open("/var/lib/drover/control.db")
//	defer s.Close()
//
// Every write is on disk when it returns. The file belongs to one process at a time. Inside it:
//
//	bucket "records"   key -> revision (8 bytes, big endian), then the value
//	bucket "meta"      "revision" -> the revision of the whole store (8 bytes)
package bolt

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/internal/durable"
)

const (
	recordsBucket = "records"
	metaBucket    = "meta"
	revisionKey   = "revision"

	// lockPatience is how long Open waits for another process to let go of the file: long
	// enough for a predecessor that is just being stopped.
	lockPatience = 2 * time.Second
)

// A Store keeps records in a file. It implements store.Store. Use Open.
type Store struct {
	db *bbolt.DB

	mu       sync.Mutex
	revision cluster.Revision // of the last write that is on disk
	closed   bool
	moved    chan struct{} // closed and replaced at each write, and at Close
}

// Open opens the file, or makes it, readable by its owner alone. While another process has it
// open the result is cluster.ErrUnavailable.
func Open(path string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockPatience})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w: another process has it open", path, cluster.ErrUnavailable)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s := &Store{db: db, moved: make(chan struct{})}
	// The library syncs the file, but not the directory that a new one is in.
	if err := errors.Join(s.prepare(), durable.SyncDir(filepath.Dir(path))); err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

// prepare makes the buckets of a new file and reads the revision of an old one.
func (s *Store) prepare() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists([]byte(recordsBucket)); err != nil {
			return err
		}
		meta, err := tx.CreateBucketIfNotExists([]byte(metaBucket))
		if err != nil {
			return err
		}
		s.revision, err = readRevision(meta.Get([]byte(revisionKey)))
		return err
	})
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context) (map[string]store.Record, cluster.Revision, error) {
	if err := s.usable(ctx); err != nil {
		return nil, 0, fmt.Errorf("load records: %w", err)
	}
	out := map[string]store.Record{}
	var revision cluster.Revision
	err := s.db.View(func(tx *bbolt.Tx) error {
		var err error
		if revision, err = readRevision(tx.Bucket([]byte(metaBucket)).Get([]byte(revisionKey))); err != nil {
			return err
		}
		return tx.Bucket([]byte(recordsBucket)).ForEach(func(key, data []byte) error {
			r, err := readRecord(data)
			if err != nil {
				return fmt.Errorf("record %s: %w", key, err)
			}
			out[string(key)] = r
			return nil
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("load records: %w", kind(err))
	}
	return out, revision, nil
}

// Write implements store.Store.
func (s *Store) Write(ctx context.Context, b store.Batch) (cluster.Revision, error) {
	if err := s.usable(ctx); err != nil {
		return 0, fmt.Errorf("write records: %w", err)
	}
	var revision cluster.Revision
	write := s.db.Update
	if len(b.Put) == 0 && len(b.Delete) == 0 {
		write = s.db.View // nothing to sync
	}
	err := write(func(tx *bbolt.Tx) (err error) {
		revision, err = apply(tx, b)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write records: %w", kind(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision > s.revision {
		s.revision = revision
		s.wake()
	}
	return revision, nil
}

// apply checks the conditions and makes the changes inside a transaction.
func apply(tx *bbolt.Tx, b store.Batch) (cluster.Revision, error) {
	records, meta := tx.Bucket([]byte(recordsBucket)), tx.Bucket([]byte(metaBucket))
	for _, c := range b.If {
		have, err := recordRevision(records.Get([]byte(c.Key)))
		if err != nil {
			return 0, fmt.Errorf("record %s: %w", c.Key, err)
		}
		if have != c.Revision {
			return 0, fmt.Errorf("%w: %s is at revision %d, not %d", cluster.ErrStale, c.Key, have, c.Revision)
		}
	}
	revision, err := readRevision(meta.Get([]byte(revisionKey)))
	if err != nil || len(b.Put) == 0 && len(b.Delete) == 0 {
		return revision, err
	}
	revision++
	for _, key := range b.Delete {
		if err := records.Delete([]byte(key)); err != nil {
			return 0, fmt.Errorf("delete %s: %w", key, err)
		}
	}
	for key, value := range b.Put {
		if err := records.Put([]byte(key), append(writeRevision(revision), value...)); err != nil {
			return 0, fmt.Errorf("put %s: %w", key, err)
		}
	}
	return revision, meta.Put([]byte(revisionKey), writeRevision(revision))
}

// Changed implements store.Store.
func (s *Store) Changed(ctx context.Context, since cluster.Revision) (cluster.Revision, error) {
	for {
		s.mu.Lock()
		closed, revision, moved := s.closed, s.revision, s.moved
		s.mu.Unlock()
		switch {
		case closed:
			return 0, fmt.Errorf("wait for a change: %w", errClosed)
		case ctx.Err() != nil:
			return 0, fmt.Errorf("wait for a change: %w", ctx.Err())
		case revision > since:
			return revision, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// Close implements store.Store. It waits for the write under way. Closing twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.wake()
	}
	s.mu.Unlock()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}

var errClosed = fmt.Errorf("%w: the store is closed", cluster.ErrUnavailable)

func (s *Store) usable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	return ctx.Err()
}

// kind gives the error of a call that met Close half way the kind of one that came after it.
func kind(err error) error {
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

// wake frees all who wait. The caller holds mu.
func (s *Store) wake() {
	close(s.moved)
	s.moved = make(chan struct{})
}
