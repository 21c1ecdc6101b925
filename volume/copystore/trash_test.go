package copystore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// TestARestoredCopyIsWhole, however it meets a purge: what is half gone cannot be restored, and what
// was restored is not purged.
func TestARestoredCopyIsWhole(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := filled(t, r)
	must(t, errors.Join(r.Close(c.ID), r.Remove(c.ID)))
	must(t, r.Restore(c.ID, 1))
	must(t, r.Purge(time.Now().Add(time.Hour), os.RemoveAll))
	if entries, err := os.ReadDir(filepath.Join(r.home(c.ID), dataName)); err != nil || len(entries) != 2 {
		t.Fatalf("restored, and the data is %v, %v", entries, err)
	}
	must(t, r.Remove(c.ID))
	must(t, r.Purge(time.Now().Add(time.Hour), func(dir string) error {
		err := os.RemoveAll(filepath.Join(dir, dataName, "base")) // it has begun
		if err := r.Restore(c.ID, 1); !errors.Is(err, cluster.ErrNotFound) {
			t.Errorf("restored while it was deleted: %v", err)
		}
		return errors.Join(err, os.RemoveAll(dir))
	}))
}

// TestPurgeAndRestoreTogether: one of them has the copy, and the other sees that.
func TestPurgeAndRestoreTogether(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	for range 10 {
		c := filled(t, r)
		must(t, errors.Join(r.Close(c.ID), r.Remove(c.ID)))
		var purgeErr, err error
		var both sync.WaitGroup
		both.Go(func() { purgeErr = r.Purge(time.Now().Add(time.Hour), os.RemoveAll) })
		both.Go(func() { err = r.Restore(c.ID, 1) })
		both.Wait()
		must(t, purgeErr)
		if errors.Is(err, cluster.ErrNotFound) {
			continue
		}
		must(t, err)
		if entries, err := os.ReadDir(filepath.Join(r.home(c.ID), dataName)); err != nil || len(entries) != 2 {
			t.Fatalf("restored, and the data is %v, %v", entries, err)
		}
	}
}

// TestWhatIsRestoredMustBeThere.
func TestWhatIsRestoredMustBeThere(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := filled(t, r)
	must(t, errors.Join(r.Close(c.ID), r.Remove(c.ID)))
	inTrash, err := filepath.Glob(filepath.Join(r.trash(), "*", dataName))
	if err != nil || len(inTrash) != 1 {
		t.Fatal(inTrash, err)
	}
	must(t, os.RemoveAll(inTrash[0]))
	if err := r.Restore(c.ID, 1); !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "there is no data") {
		t.Errorf("got %v, want what is missing", err)
	}
	if all := r.All(); len(all) != 0 {
		t.Errorf("a copy without data is listed: %v", all)
	}
}

// TestARemovedCopyThatCannotBeReadIsKept for longer, and said.
func TestARemovedCopyThatCannotBeReadIsKept(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := filled(t, r)
	must(t, errors.Join(r.Close(c.ID), r.Remove(c.ID)))
	records, _ := filepath.Glob(filepath.Join(r.trash(), "*", recordName))
	must(t, os.Truncate(records[0], 0)) // as XFS left it
	for _, grace := range []time.Duration{-time.Hour, time.Minute, time.Hour, 29 * 24 * time.Hour} {
		must(t, r.Purge(time.Now().Add(grace), os.RemoveAll))
		trash, err := r.Trash()
		if err != nil || len(trash) != 1 || !strings.Contains(trash[0].Warning, "copy.json is empty") {
			t.Fatalf("after %s the trash holds %+v, %v", grace, trash, err)
		}
		if _, err := os.Stat(filepath.Join(trash[0].Path, dataName, "base")); err != nil {
			t.Fatalf("after %s: %v", grace, err)
		}
	}
	if err := r.Restore(c.ID, 1); err == nil || !strings.Contains(err.Error(), "copy.json is empty") {
		t.Errorf("restore says %v", err)
	}
	must(t, r.Purge(time.Now().Add(unreadableGrace+time.Hour), os.RemoveAll))
	if trash, err := r.Trash(); err != nil || len(trash) != 0 {
		t.Errorf("it is kept for ever: %+v, %v", trash, err)
	}
}

// TestAPurgeThatWasCutGoesOn.
func TestAPurgeThatWasCutGoesOn(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	c := filled(t, r)
	must(t, errors.Join(r.Close(c.ID), r.Remove(c.ID)))
	cut := errors.New("cut")
	if err := r.Purge(time.Now().Add(time.Hour), func(string) error { return cut }); !errors.Is(err, cut) {
		t.Fatalf("got %v, want what failed", err)
	}
	if trash, err := r.Trash(); err != nil || len(trash) != 0 {
		t.Errorf("what is half gone can be restored: %v, %v", trash, err)
	}
	r = reopen(t, r)
	must(t, r.Purge(time.Now().Add(-time.Hour), os.RemoveAll))
	if left, err := os.ReadDir(r.purged()); err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
