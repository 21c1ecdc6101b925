package bolt

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/internal/durable"
)

// Create makes a file that holds exactly those records, with their revisions, and nothing where it fails. A
// file that exists is cluster.ErrExists.
func Create(path string, records map[string]store.Record, revision cluster.Revision) error {
	if err := create(path, records, revision); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return nil
}

func create(path string, records map[string]store.Record, revision cluster.Revision) error {
	// The name is taken when the content is complete, by a link, which never replaces.
	dir, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "new")
	s, err := Open(made)
	if err != nil {
		return err
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for key, r := range records {
			if err := tx.Bucket([]byte(recordsBucket)).Put([]byte(key), append(writeRevision(r.Revision), r.Value...)); err != nil {
				return fmt.Errorf("put %s: %w", key, err)
			}
		}
		return tx.Bucket([]byte(metaBucket)).Put([]byte(revisionKey), writeRevision(revision))
	})
	if closing := s.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if err := os.Link(made, path); os.IsExist(err) {
		return cluster.ErrExists
	} else if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
