package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// back makes the receiver the sender, as a move does.
func (s *stage) back() {
	s.src, s.dst, s.ours, s.theirs = s.dst, s.src, s.theirs, s.ours
}

// settled is a stage on a file system with stamps, at whose target some files have arrived and then one more.
func settled(t *testing.T) *stage {
	s := newStage(t)
	mnt := loopExt4(t)
	s.moveTo(mnt)
	s.next = filepath.Join(mnt, "next")
	for _, name := range []string{"f", "g", "h"} {
		s.write(name, "old content of "+name)
	}
	s.must(os.Link(filepath.Join(s.src, "h"), filepath.Join(s.src, "i")))
	s.round()
	time.Sleep(3 * racy)
	s.write("last", "of all")
	s.round()
	return s
}

func readAt(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(info.Sys().(*syscall.Stat_t).Atim.Unix())
}

// TestWhatArrivedIsReadOnce by the first look of the node to which it came: a stamp that was given while it
// arrived proves nothing of what somebody else stored meanwhile, nor of what a loss of power left.
func TestWhatArrivedIsReadOnce(t *testing.T) {
	s := settled(t)
	s.back()
	time.Sleep(3 * racy)
	f := filepath.Join(s.src, "f")
	was := readAt(t, f)
	s.round()
	first := readAt(t, f)
	if first == was {
		t.Error("the first look believed a stamp, and did not read")
	}
	time.Sleep(3 * racy)
	s.round()
	if readAt(t, f) != first {
		t.Error("the second look read what nobody has touched since the first")
	}
}

// TestAStoreAfterTheArrivalIsSeen: however soon it is made, and however it hides.
func TestAStoreAfterTheArrivalIsSeen(t *testing.T) {
	s := settled(t)
	for n := range 40 {
		path := filepath.Join(s.dst, []string{"f", "last", "h"}[n%3])
		content := fmt.Sprintf("%-20.20s", fmt.Sprint("store ", n)) // as long as it was from the second on
		before, err := os.Stat(path)
		s.must(err)
		if n%2 == 0 {
			s.must(os.WriteFile(path, []byte(content), 0o644))
		} else {
			s.must(storeMapped(path, content[:min(len(content), int(before.Size()))]))
		}
		s.must(os.Chtimes(path, time.Time{}, before.ModTime()))
		s.back()
		if n%4 < 2 {
			time.Sleep(2 * racy)
		}
		s.round()
		want, err := os.ReadFile(path)
		s.must(err)
		if got, err := os.ReadFile(filepath.Join(s.dst, filepath.Base(path))); err != nil || string(got) != string(want) {
			t.Fatalf("store %d: the target has %q, %v; the source %q", n, got, err, want)
		}
	}
}

// TestAMappingFromOutsideIsSeen: somebody has a page of a replica dirty while it is held against its listing,
// and stores once more afterwards.
func TestAMappingFromOutsideIsSeen(t *testing.T) {
	s := settled(t)
	_, err := s.send() // which writes back what is dirty, on this file system both
	s.must(err)
	path := filepath.Join(s.dst, "f")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	s.must(err)
	defer f.Close()
	before, err := f.Stat()
	s.must(err)
	page, err := unix.Mmap(int(f.Fd()), 0, int(before.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	s.must(err)
	defer unix.Munmap(page)
	copy(page, "old") // what is there
	s.must(os.Chtimes(path, time.Time{}, before.ModTime()))
	time.Sleep(3 * racy)
	_, err = s.receive()
	s.must(err)
	copy(page, "new")
	if err := Verify(t.Context(), s.dst, s.theirs); !errors.As(err, new(*Changed)) {
		t.Errorf("the copy is found to be as listed: %v", err)
	}
}

// storeMapped writes to a file through a mapping.
func storeMapped(path, content string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, len(content), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	copy(page, content)
	return unix.Munmap(page)
}
