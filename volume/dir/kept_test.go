package dir

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestWhatUsersKeepOutlivesAFullTransfer: in place of a replica of another version, say, whose snapshots
// nothing can build on any more.
func TestWhatUsersKeepOutlivesAFullTransfer(t *testing.T) {
	p := newPair(t)
	file := filepath.Join(p.src, "file")
	p.must(os.WriteFile(file, []byte("old"), 0o600))
	p.pass()
	kept, err := p.to.Snapshot(t.Context(), p.id, "kept", true)
	p.must(err)
	p.must(os.WriteFile(file, []byte("new"), 0o600))
	check := func() {
		t.Helper()
		c, err := volume.Find(t.Context(), p.to, p.id)
		p.must(err)
		i := slices.IndexFunc(c.Snapshots, func(s cluster.Snapshot) bool { return s.Name == "kept" })
		if i < 0 || c.Snapshots[i].GUID != kept.GUID || !c.Snapshots[i].Kept {
			t.Fatalf("it is not listed any more: %+v", c.Snapshots)
		}
		own, err := p.to.find(p.id)
		p.must(err)
		if text, err := os.ReadFile(filepath.Join(own.keptTree("kept"), "file")); string(text) != "old" || err != nil {
			t.Errorf("it holds %q, %v", text, err)
		}
	}
	for range 2 {
		p.last = ""
		p.pass()
		check()
		if text, err := os.ReadFile(filepath.Join(p.dst, "file")); string(text) != "new" || err != nil {
			t.Errorf("the replica holds %q, %v", text, err)
		}
	}
	cuts := 0
	p.cutAfter = func() int64 { cuts++; return int64(300 * cuts) }
	p.last = ""
	p.pass()
	check()
}
