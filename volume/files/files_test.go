package files

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// A stage is a source and a replica, with their listings.
type stage struct {
	t                  *testing.T
	src, dst           string
	theirs, ours, next string // listings: the replica's, the source's last look, and where new ones go
	rounds             int
	stream             bytes.Buffer // of the last round
}

func newStage(t testing.TB) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{src: filepath.Join(dir, "src"), dst: filepath.Join(dir, "dst"), next: filepath.Join(dir, "next")}
	s.t, _ = t.(*testing.T)
	for _, d := range []string{s.src, s.dst} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) write(name, content string) {
	s.t.Helper()
	s.must(os.WriteFile(filepath.Join(s.src, name), []byte(content), 0o644))
}

// send makes the stream of a round.
func (s *stage) send() (Sum, error) {
	s.rounds++
	s.stream.Reset()
	save := fmt.Sprint(s.next, "-ours-", s.rounds)
	snapshot := cluster.Snapshot{Name: cluster.SnapshotName(fmt.Sprint("s", s.rounds))}
	sum, err := Send(s.t.Context(), Shipment{Root: s.src, Base: s.theirs, Known: s.ours, Snapshot: snapshot, Save: save}, &s.stream)
	if err == nil {
		s.ours = save
	}
	return sum, err
}

// receive applies what send made.
func (s *stage) receive() (Sum, error) {
	save := fmt.Sprint(s.next, "-theirs-", s.rounds)
	_, sum, err := Receive(s.t.Context(), Arrival{Root: s.dst, Base: s.theirs, Save: save}, bytes.NewReader(s.stream.Bytes()))
	if err == nil {
		s.theirs = save
	}
	return sum, err
}

func (s *stage) round() Sum {
	s.t.Helper()
	sent, err := s.send()
	s.must(err)
	got, err := s.receive()
	s.must(err)
	if got != sent {
		s.t.Fatalf("round %d: sent %+v, received %+v", s.rounds, sent, got)
	}
	return got
}

func TestHostileStreams(t *testing.T) {
	file := func(path string) *entry { return &entry{path: path, kind: kindFile, mode: 0o644, size: 3} }
	data := []byte("bad")
	for _, row := range []struct {
		rule  string
		write func(*streamWriter)
	}{
		{"an absolute path", func(w *streamWriter) { w.entry(file("/drover-hostile")) }},
		{"a path upwards", func(w *streamWriter) { w.entry(file("../escaped")) }},
		{"a path that is not clean", func(w *streamWriter) { w.entry(file("a/../../escaped")) }},
		{"a path with a byte of zero", func(w *streamWriter) { w.entry(file("a\x00b")) }},
		{"a name that is too long", func(w *streamWriter) { w.entry(file(strings.Repeat("n", 5000))) }},
		{"a file without its directory", func(w *streamWriter) { w.entry(file("dir/file")) }},
		{"a file below a link that leads outside", func(w *streamWriter) {
			w.entry(&entry{path: "link", kind: kindSymlink, target: ".."})
			w.entry(file("link/escaped"))
		}},
		{"a hard link to the outside", func(w *streamWriter) {
			w.entry(&entry{path: "link", kind: kindHardlink, target: "../record"})
		}},
		{"a hard link through a link", func(w *streamWriter) {
			w.entry(&entry{path: "a", kind: kindSymlink, target: ".."})
			w.entry(&entry{path: "link", kind: kindHardlink, target: "a/record"})
		}},
		{"a hard link to what comes later", func(w *streamWriter) { w.entry(&entry{path: "a", kind: kindHardlink, target: "b"}) }},
		{"paths out of their order", func(w *streamWriter) { w.entry(file("b")); w.entry(file("a")) }},
		{"a path twice", func(w *streamWriter) { w.entry(file("a")); w.entry(file("a")) }},
		{"a removal upwards", func(w *streamWriter) { w.frame(frameDelete, []byte("../record")) }},
		{"a removal of the root", func(w *streamWriter) { w.frame(frameDelete) }},
		{"a removal of what is not there", func(w *streamWriter) { w.frame(frameDelete, []byte("a")) }},
		{"a root that is a file", func(w *streamWriter) { w.entry(file("")) }},
		{"a block without a file", func(w *streamWriter) { w.block(0, hashOf(data), data) }},
		{"a block behind the end", func(w *streamWriter) { w.entry(file("f")); w.block(7, hashOf(data), data) }},
		{"a block before the first", func(w *streamWriter) { w.entry(file("f")); w.block(-1, hashOf(data), data) }},
		{"a block twice", func(w *streamWriter) {
			w.entry(file("f"))
			w.block(0, hashOf(data), data)
			w.block(0, hashOf(data), data)
		}},
		{"a block that is too short", func(w *streamWriter) { w.entry(file("f")); w.block(0, hashOf(data[:1]), data[:1]) }},
		{"a block with another hash", func(w *streamWriter) { w.entry(file("f")); w.block(0, hashOf([]byte("x")), data) }},
		{"zeros behind the end", func(w *streamWriter) { w.entry(file("f")); w.zeros(0, 1<<62) }},
		{"zeros of no length", func(w *streamWriter) { w.entry(file("f")); w.zeros(0, 0) }},
		{"zeros of a negative length", func(w *streamWriter) { w.entry(file("f")); w.zeros(0, -1) }},
		{"a negative size", func(w *streamWriter) { w.entry(&entry{path: "f", kind: kindFile, size: -1}) }},
		{"a mode that is none", func(w *streamWriter) { w.entry(&entry{path: "f", kind: kindFile, mode: 1 << 20}) }},
		{"flags that are not carried", func(w *streamWriter) { w.entry(&entry{path: "f", kind: kindFile, flags: 1 << 20}) }},
		{"an unknown kind", func(w *streamWriter) { w.entry(&entry{path: "f", kind: 'x'}) }},
		{"an unknown frame", func(w *streamWriter) { w.frame('?') }},
		{"an entry that is cut", func(w *streamWriter) { w.frame(frameEntry, []byte{'f', 200}) }},
		{"an entry of more attributes than it has", func(w *streamWriter) {
			b := file("f").append(nil)
			w.frame(frameEntry, append(b[:len(b)-1], 255, 255, 255, 255, 127))
		}},
		{"another digest", func(w *streamWriter) { w.frame(frameDigest, make([]byte, len(hash{}))) }},
		{"a digest that is cut", func(w *streamWriter) { w.frame(frameDigest, []byte("short")) }},
		{"a second header", func(w *streamWriter) { w.header(streamHeader{To: "s", Snapshot: cluster.Snapshot{Name: "s"}}) }},
	} {
		t.Run(row.rule, func(t *testing.T) {
			outside := t.TempDir()
			root, record := filepath.Join(outside, "root"), filepath.Join(outside, "record")
			if err := errors.Join(os.Mkdir(root, 0o700), os.WriteFile(record, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			stream := hostile(t, row.write)
			_, _, err := Receive(t.Context(), Arrival{Root: root, Save: filepath.Join(t.TempDir(), "listing")}, stream)
			if err == nil {
				t.Error("it was received")
			}
			if all, _ := os.ReadDir(outside); len(all) != 2 {
				t.Errorf("outside there is %v", all)
			}
			if _, err := os.Stat("/drover-hostile"); err == nil {
				t.Error("/drover-hostile was made")
			}
		})
	}
}

func hostile(t testing.TB, write func(*streamWriter)) *bytes.Buffer {
	t.Helper()
	var stream bytes.Buffer
	w, err := newStreamWriter(&stream)
	if err == nil {
		err = w.header(streamHeader{To: "s", Snapshot: cluster.Snapshot{Name: "s"}})
	}
	if err == nil {
		err = w.entry(&entry{kind: kindDir, mode: 0o755})
	}
	if err != nil {
		t.Fatal(err)
	}
	write(w)
	w.w.Flush()
	return &stream
}

func TestAStreamOfSomethingElseIsSaidToBeOne(t *testing.T) {
	_, _, err := Receive(t.Context(), Arrival{Root: t.TempDir()}, strings.NewReader("btrfs-stream\x00 and so on"))
	if !errors.Is(err, cluster.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

func TestANameInTheHeaderIsThatOfTheSnapshot(t *testing.T) {
	var stream bytes.Buffer
	w, err := newStreamWriter(&stream)
	if err != nil {
		t.Fatal(err)
	}
	w.header(streamHeader{To: "s", Snapshot: cluster.Snapshot{Name: "../../etc"}})
	w.w.Flush()
	_, _, err = Receive(t.Context(), Arrival{Root: t.TempDir()}, &stream)
	if !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestWhatWasDoneToAReplicaIsFound(t *testing.T) {
	for _, row := range []struct {
		rule string
		do   func(dst string) error
		want string
	}{
		{"a file is gone", func(d string) error { return os.Remove(d + "/dir/file") }, `"dir/file" is gone`},
		{"all is gone", func(d string) error {
			return errors.Join(os.RemoveAll(d+"/dir"), os.Remove(d+"/file"), os.Remove(d+"/link"))
		}, `"dir" is gone`},
		{"another file", func(d string) error { return os.WriteFile(d+"/dir/more", nil, 0o600) }, `"dir" has 3 names, not 2`},
		{"another content", func(d string) error { return os.WriteFile(d+"/file", []byte("CONTENT"), 0o600) }, `"file" has another time`},
		{"another content behind its time", func(d string) error {
			info, err := os.Stat(d + "/file")
			return errors.Join(err, os.WriteFile(d+"/file", []byte("CONTENT"), 0o600), os.Chtimes(d+"/file", info.ModTime(), info.ModTime()))
		}, `"file" has other content`},
		{"another size", func(d string) error { return os.Truncate(d+"/file", 3) }, `"file" has 3 bytes, not 7`},
		{"another mode", func(d string) error { return os.Chmod(d+"/file", 0o600) }, `"file" has mode 600, not 644`},
		{"another mode of a directory", func(d string) error { return os.Chmod(d+"/dir", 0o700) }, `"dir" has mode 700, not 755`},
		{"another attribute", func(d string) error { return unix.Setxattr(d+"/file", "user.mark", []byte("x"), 0) },
			`"file" has other attributes: "user.mark" is new (changed at 2`},
		{"another kind", func(d string) error { return errors.Join(os.Remove(d+"/file"), os.Mkdir(d+"/file", 0o755)) }, `"file" is a directory now, not a file`},
		{"another target", func(d string) error { return errors.Join(os.Remove(d+"/link"), os.Symlink("else", d+"/link")) }, `"link" has another time`},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s := newStage(t)
			s.must(os.Mkdir(s.src+"/dir", 0o755))
			s.write("dir/file", "content")
			s.write("dir/second", "content")
			s.write("file", "content")
			s.must(os.Symlink("file", s.src+"/link"))
			s.round()
			s.round()
			s.must(row.do(s.dst))
			err := Verify(t.Context(), s.dst, s.theirs)
			var changed *Changed
			if !errors.As(err, &changed) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("verify: got %v, want %q", err, row.want)
			}
			if _, err = s.send(); err == nil {
				_, err = s.receive()
			}
			if !errors.As(err, &changed) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("the next round: got %v, want %q", err, row.want)
			}
			if !errors.Is(err, cluster.ErrConflict) {
				t.Errorf("%v is no conflict", err)
			}
		})
	}
}

func TestAReplicaThatWasOnlyTouchedIsAsItWas(t *testing.T) {
	s := newStage(t)
	s.write("file", "content")
	s.write("linked", "content")
	s.must(os.Link(s.src+"/linked", s.src+"/other"))
	s.round()
	// As after a restore from a backup: other inodes, and new stamps, of the same files.
	info, err := os.Stat(s.dst + "/file")
	s.must(err)
	s.must(os.Rename(s.dst+"/file", s.dst+"/old"))
	s.must(os.WriteFile(s.dst+"/file", []byte("content"), 0o644))
	s.must(os.Remove(s.dst + "/old"))
	s.must(os.Chtimes(s.dst+"/file", info.ModTime(), info.ModTime()))
	root, err := os.Stat(s.src)
	s.must(err)
	s.must(os.Chtimes(s.dst, root.ModTime(), root.ModTime()))
	s.must(Verify(t.Context(), s.dst, s.theirs))
	s.write("file", "changed")
	s.round()
	s.must(Verify(t.Context(), s.dst, s.theirs))
}

func TestAListingThatIsCutShortIsNone(t *testing.T) {
	s := newStage(t)
	for n := range 2000 {
		s.write(fmt.Sprint("file", n), fmt.Sprint(n))
	}
	s.round()
	whole, err := os.ReadFile(s.theirs)
	s.must(err)
	for _, n := range []int{0, 5, len(listingMagic), len(listingMagic) + 10, len(whole) / 2, len(whole) - 1} {
		s.must(os.WriteFile(s.theirs, whole[:n], 0o600))
		var changed *Changed
		if err := Verify(t.Context(), s.dst, s.theirs); !errors.As(err, &changed) && !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%d bytes of a listing of %d: %v", n, len(whole), err)
		}
	}
}

func TestOrder(t *testing.T) {
	in := []string{"", "a", "a/b", "a/b/c", "a/c", "a.b", "a0", "b"}
	for i, a := range in {
		for j, b := range in {
			if got := compare(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("compare(%q, %q) = %d", a, b, got)
			}
		}
	}
}
