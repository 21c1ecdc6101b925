package files

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/test/harness/powercut"
)

// TestAStampIsOfItsBootOnly: the host of the source loses its power between two rounds. Blocks that were written
// over in place are on the disk,
// the stamp of their file is not.
func TestAStampIsOfItsBootOnly(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: only root can cut the power of a file system")
	}
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			s := newStage(t)
			d := powercut.New(t, kind, 512<<20)
			s.src = filepath.Join(d.Path(), "src")
			s.must(os.Mkdir(s.src, 0o755))
			s.write("f", string(bytes.Repeat([]byte("old "), 1<<18)))
			s.must(d.Sync())
			time.Sleep(100 * time.Millisecond)
			s.round()
			f, err := os.OpenFile(filepath.Join(s.src, "f"), os.O_RDWR, 0)
			s.must(err)
			_, err = f.WriteAt(bytes.Repeat([]byte("new "), 1<<14), 128<<10)
			s.must(err)
			// the kernel's writeback comes to it, and not yet to the journal
			s.must(unix.SyncFileRange(int(f.Fd()), 0, 1<<20, unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER))
			s.must(f.Close())
			d.Cut()
			s.nextBoot()
			// the application starts again, finds its data, syncs it (as PostgreSQL does at its start): it is acknowledged
			f, err = os.Open(filepath.Join(s.src, "f"))
			s.must(err)
			s.must(f.Sync())
			s.must(f.Close())
			s.round()
			want, _ := os.ReadFile(filepath.Join(s.src, "f"))
			got, _ := os.ReadFile(filepath.Join(s.dst, "f"))
			if !bytes.Contains(want, []byte("new ")) {
				t.Log("the write is not on the disk after the cut")
			}
			if !bytes.Equal(want, got) {
				t.Errorf("the target has not what the source has, and the digests agree")
			}
		})
	}
}

// nextBoot makes the source's last look one of an earlier boot, as it is after a loss of power.
func (s *stage) nextBoot() {
	s.t.Helper()
	old, err := openListing(s.ours)
	s.must(err)
	defer old.close()
	w, err := newListing(s.ours+"-booted", header{began: old.began, boot: "an earlier one"}, nil)
	s.must(err)
	for {
		r, err := old.next()
		if err != nil {
			break
		}
		s.must(w.record(r))
	}
	_, err = w.close()
	s.must(err)
	s.ours += "-booted"
}
