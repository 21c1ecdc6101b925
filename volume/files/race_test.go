package files

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
)

// TestALinkInPlaceOfAFileThatArrivesIsNotFollowed: whoever may pass to a replica puts a link in the place
// of a file whose blocks arrive.
func TestALinkInPlaceOfAFileThatArrivesIsNotFollowed(t *testing.T) {
	s := newStage(t)
	s.write("f", "old")
	s.round()
	outside := filepath.Join(filepath.Dir(s.src), "shadow")
	s.must(os.WriteFile(outside, []byte("secret"), 0o600))

	in, out := io.Pipe()
	done := make(chan error)
	go func() {
		_, _, err := Receive(t.Context(), Arrival{Root: s.dst, Base: s.theirs, Save: s.next}, in)
		done <- err
	}()
	w, err := newStreamWriter(out)
	s.must(err)
	s.must(w.header(streamHeader{Snapshot: cluster.Snapshot{Name: "s9"}, To: "s9"}))
	st, err := os.Stat(filepath.Join(s.src, "f"))
	s.must(err)
	e := entry{path: "f", kind: kindFile, mode: 0o666, size: 3, mtime: momentOf(st.ModTime())}
	s.must(w.entry(&e))
	s.must(w.w.Flush())
	data := []byte("new")
	s.must(w.block(0, hashOf(data), data))
	s.must(w.w.Flush())
	s.must(os.Remove(filepath.Join(s.dst, "f")))
	s.must(os.Symlink(outside, filepath.Join(s.dst, "f")))
	w.frame(frameUpTo, []byte("g"))
	w.frame(frameDigest, make([]byte, 32))
	w.w.Flush()
	if err := <-done; err == nil {
		t.Error("it was received")
	}
	info, err := os.Stat(outside)
	s.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("a file outside has mode %o now", info.Mode().Perm())
	}
}
