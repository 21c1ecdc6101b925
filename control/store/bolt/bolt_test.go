package bolt_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/store/bolt"
	"github.com/drover/drover/control/store/storetest"
	"github.com/drover/drover/test/harness/powercut"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		path := filepath.Join(t.TempDir(), "control.db")
		return func() (store.Store, error) { return bolt.Open(path) }
	})
}

// TestWhatWasWrittenSurvivesALossOfPower, in a file that is new too.
func TestWhatWasWrittenSurvivesALossOfPower(t *testing.T) {
	powercut.Each(t, func(t *testing.T, kind string) {
		open := func(dir string) *bolt.Store {
			t.Helper()
			s, err := bolt.Open(filepath.Join(dir, "control.db"))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		powercut.Run(t, kind, func(dir string) {
			s := open(dir)
			defer s.Close()
			if _, err := s.Write(t.Context(), store.Batch{Put: map[string][]byte{"key": []byte("value")}}); err != nil {
				t.Fatal(err)
			}
		}, func(dir string) {
			s := open(dir)
			defer s.Close()
			if all, _, err := s.Load(t.Context()); err != nil || string(all["key"].Value) != "value" {
				t.Errorf("after the cut it holds %v, %v", all, err)
			}
		})
	})
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file has mode %o, want 600", mode)
	}
}

func TestAFileInUseIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := bolt.Open(path); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("opening it again: %v, want ErrUnavailable", err)
	}
}

func TestAFileThatIsNoStoreIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	if err := os.WriteFile(path, []byte("not a database, but long enough to be looked at as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := bolt.Open(path); err == nil {
		s.Close()
		t.Error("it was opened")
	}
}

func TestADamagedRecordIsAnErrorAndNotAGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), store.Batch{Put: map[string][]byte{"ownership/v": []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	damage(t, path, "ownership/v")

	s, err = bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if records, _, err := s.Load(t.Context()); err == nil {
		t.Errorf("loaded %v from a damaged file", records)
	}
	if _, err := s.Write(t.Context(), store.Batch{If: []store.Condition{{Key: "ownership/v"}}}); err == nil {
		t.Error("a condition held on a damaged record")
	}
}

func damage(t *testing.T, path, key string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("records")).Put([]byte(key), []byte("cut"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAFileIsMadeOfRecords: they are those that were given, and what is there stays.
func TestAFileIsMadeOfRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	want := map[string]store.Record{"a": {Value: []byte("1"), Revision: 3}, "b": {Value: []byte{}, Revision: 9}}
	if err := bolt.Create(path, want, 12); err != nil {
		t.Fatal(err)
	}
	if err := bolt.Create(path, nil, 1); !errors.Is(err, cluster.ErrExists) {
		t.Errorf("a second time: %v, want ErrExists", err)
	}
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, revision, err := s.Load(t.Context())
	if err != nil || revision != 12 || !reflect.DeepEqual(got, want) {
		t.Errorf("it holds %v at revision %d, %v", got, revision, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}
