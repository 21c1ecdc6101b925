package files

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// TestANameThatIsReplacedIsNotLeftOut: careful programs write a new file and rename it into the place of
// the old one, while it is looked at too.
func TestANameThatIsReplacedIsNotLeftOut(t *testing.T) {
	for _, row := range []struct {
		rule         string
		times        int
		still        bool
		want, visits int
		err          error
	}{
		{"once", 1, false, 1, 2, nil},
		{"each time", 1000, false, 0, maxTries + 1, cluster.ErrUnavailable},
		{"in a tree that nobody changes", 1, true, 0, 1, cluster.ErrConflict},
	} {
		t.Run(row.rule, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, "a"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			visits, passed := 0, 0
			w := &walker{ctx: t.Context(), still: row.still, leave: func(string, seen) error { return nil }}
			w.visit = func(_ place, path string, st *unix.Statx_t) (bool, error) {
				if path == "" {
					return true, nil
				}
				if visits++; visits <= row.times {
					return false, errGone
				}
				passed++
				return false, nil
			}
			if err := w.walk(root); !errors.Is(err, row.err) {
				t.Errorf("got %v, want %v", err, row.err)
			}
			if passed != row.want || visits != row.visits {
				t.Errorf("seen %d times in %d visits, want %d in %d", passed, visits, row.want, row.visits)
			}
		})
	}
}

// TestADeviceIsNotOpenedInPlaceOfAFile: opening one may do something to the host.
func TestADeviceIsNotOpenedInPlaceOfAFile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: only root can make a device")
	}
	node := filepath.Join(t.TempDir(), "device")
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, node, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	p, err := rootPlace(node)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if _, err := p.file(unix.O_RDONLY); !gone(err) {
		t.Errorf("got %v, want errGone", err)
	}
	if n, _ := unix.Read(watch, make([]byte, 1024)); n > 0 {
		t.Error("it was opened")
	}
}

// TestAStreamIsOnlySoDeep: each directory that leads to where it is takes a descriptor.
func TestAStreamIsOnlySoDeep(t *testing.T) {
	b := hostile(t, func(w *streamWriter) {
		path := "d"
		for range maxDepth + 100 {
			w.entry(&entry{path: path, kind: kindDir, mode: 0o755})
			path += "/d"
		}
	})
	_, _, err := Receive(t.Context(), Arrival{Root: t.TempDir(), Save: filepath.Join(t.TempDir(), "listing")}, b)
	if !errors.Is(err, cluster.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

// TestALookChangesNothing: a name that is no longer one of a file with several is told, and kept.
func TestALookChangesNothing(t *testing.T) {
	s := newStage(t)
	s.write("a", "old")
	s.must(os.Link(filepath.Join(s.src, "a"), filepath.Join(s.src, "b")))
	s.round()
	s.round()
	info, err := os.Stat(filepath.Join(s.dst, "a"))
	s.must(err)
	root, err := os.Stat(s.dst)
	s.must(err)
	s.must(os.WriteFile(filepath.Join(s.dst, "a.new"), []byte("old"), 0o644))
	s.must(os.Rename(filepath.Join(s.dst, "a.new"), filepath.Join(s.dst, "a")))
	s.must(os.WriteFile(filepath.Join(s.dst, "b"), []byte("written"), 0o644))
	for _, name := range []string{"a", "b"} {
		s.must(os.Chtimes(filepath.Join(s.dst, name), info.ModTime(), info.ModTime()))
	}
	s.must(os.Chtimes(s.dst, root.ModTime(), root.ModTime()))
	var changed *Changed
	if err := Verify(t.Context(), s.dst, s.theirs); !errors.As(err, &changed) {
		t.Errorf("verify: got %v, want *Changed", err)
	}
	if b, _ := os.ReadFile(filepath.Join(s.dst, "b")); string(b) != "written" {
		t.Errorf("b holds %q", b)
	}
}

// TestAFileStaysImmutableWhenOneOfItsNamesGoes, though its flag has to be taken away for that.
func TestAFileStaysImmutableWhenOneOfItsNamesGoes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: only root can make a file immutable")
	}
	s := newStage(t)
	s.write("a", "content")
	for _, name := range []string{"b", "c"} {
		s.must(os.Link(filepath.Join(s.src, "a"), filepath.Join(s.src, name)))
	}
	lock := func(flags uint32) {
		f, err := os.Open(filepath.Join(s.src, "a"))
		s.must(err)
		defer f.Close()
		s.must(setFlags(int(f.Fd()), flags))
	}
	lock(flagImmutable)
	defer func() { lock(0); s.must(RemoveAll(s.dst)) }()
	s.round()
	lock(0)
	s.must(os.Remove(filepath.Join(s.src, "c")))
	lock(flagImmutable)
	s.round()
	for _, root := range []string{s.src, s.dst} {
		var st unix.Statx_t
		s.must(unix.Statx(unix.AT_FDCWD, filepath.Join(root, "b"), 0, statMask, &st))
		if flagsOf(&st) != flagImmutable {
			t.Errorf("%s has flags %x", root, flagsOf(&st))
		}
	}
}
