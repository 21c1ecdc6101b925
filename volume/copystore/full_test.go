package copystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/test/harness/powercut"
)

// TestAFullDisk stops nobody from closing, moving away and removing what is on it: it is full to the
// last byte, on every file system.
func TestAFullDisk(t *testing.T) {
	powercut.Each(t, func(t *testing.T, kind string) {
		disk := powercut.New(t, kind, 512<<20)
		r := open(t, filepath.Join(disk.Path(), "volumes"), Options{})
		c, other := filled(t, r), filled(t, r)
		must(t, r.Close(other.ID))
		fill(t, filepath.Join(c.Data(), "base"))
		must(t, r.Close(c.ID))
		for n := range 20 { // the note of one round after another
			must(t, c.Update(func(r *Record) { r.Limit = int64(n) }))
		}
		must(t, r.Remove(other.ID))
		if _, err := c.SetAside("diverged"); err != nil {
			t.Fatal(err)
		}
		// Where records can be written over in place they have taken nothing of it.
		if st, err := os.Stat(r.reserve.path); err != nil || (st.Size() == 0) != (kind == "btrfs") {
			t.Errorf("the reserve has %d bytes, %v", st.Size(), err)
		}
		if _, err := r.reserve.give(); err != nil {
			t.Error(err)
		}
		must(t, r.Purge(time.Now().Add(time.Hour), os.RemoveAll))
		must(t, disk.Sync())
		for range 200 { // some file systems free what is deleted in the background
			if space, err := r.Space(); err != nil || space.Free > reserveFree {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		r.reserve.given = time.Now().Add(-time.Hour)
		add(t, r)
		if st, err := os.Stat(r.reserve.path); err != nil || st.Size() != reserveBytes {
			t.Errorf("the reserve was not made again: %v, %v", st, err)
		}
	})
}

// fill fills the disk until not one byte more can be had, by any size of file.
func fill(t *testing.T, dir string) {
	t.Helper()
	block := make([]byte, 1<<20)
	for round, size := range []int{len(block), len(block), 64 << 10, 4096, 512, 1, 1} {
		for n := 0; ; n++ {
			err := append1(filepath.Join(dir, fmt.Sprintf("filler-%d-%d", round, n%50)), block[:size])
			if errors.Is(err, unix.ENOSPC) {
				break
			}
			must(t, err)
			if size < 512 && n > 4000 {
				break
			}
		}
	}
}

func append1(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
