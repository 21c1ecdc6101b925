package btrfs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/volume"
)

// TestUsageIsWhatIsCounted where the file system counts, and what a walk finds elsewhere: holes are
// nothing.
func TestUsageIsWhatIsCounted(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	p.write(p.a, "file", bytes.Repeat([]byte("x"), 4<<20))
	p.must(os.Truncate(filepath.Join(p.a.Path(p.id), "file"), 64<<30))
	p.must(syncFileSystem(p.a.path))
	if n, counted := referenced(p.a.Path(p.id)); counted {
		t.Errorf("%d bytes are counted, and nobody counts", n)
	}
	p.must(p.a.Resize(t.Context(), p.id, 100<<20))
	if err := run(t.Context(), "quota", "rescan", "-w", p.a.path); err != nil {
		t.Log(err) // one is under way
		p.must(run(t.Context(), "quota", "rescan", "-W", p.a.path))
	}
	p.must(syncFileSystem(p.a.path))
	held, err := volume.Find(t.Context(), p.a, p.id)
	if err != nil || held.UsedBytes < 4<<20 || held.UsedBytes > 5<<20 {
		t.Errorf("4 MiB in 64 GiB take up %d bytes, %v", held.UsedBytes, err)
	}
	if _, counted := referenced(p.a.Path(p.id)); !counted {
		t.Error("a volume with a limit is not counted")
	}
}
