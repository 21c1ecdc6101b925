package copystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func inMemory(t *testing.T, content string) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "memory")
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestAPathLeadsToItsFileForAsLongAsItIsRead: not to another one, of another volume say, that came to have its number.
func TestAPathLeadsToItsFileForAsLongAsItIsRead(t *testing.T) {
	var one, other Unsaved
	nowhere := filepath.Join(t.TempDir(), "none")
	keep := func(u *Unsaved, content string) {
		t.Helper()
		if err := u.Keep("s", inMemory(t, content), nowhere); err != nil {
			t.Fatal(err)
		}
	}
	keep(&one, "one")
	path, done := one.Read()
	at := path("s")
	one.Forget("s") // as a Drop does beside a Send
	keep(&other, "other")
	if got, err := os.ReadFile(at); string(got) != "one" {
		t.Errorf("by the path of one is read %q, %v", got, err)
	}
	if one.Has("s") || path("s") != "" {
		t.Error("what is forgotten is there still")
	}
	done()
	if got, err := os.ReadFile(at); string(got) == "one" {
		t.Errorf("nobody reads it any more, and it takes memory: %v", err)
	}
}

// TestWhatIsInMemoryTakesThePlaceOfWhatIsOnTheDisk.
func TestWhatIsInMemoryTakesThePlaceOfWhatIsOnTheDisk(t *testing.T) {
	var u Unsaved
	path := filepath.Join(t.TempDir(), "listing")
	if err := os.WriteFile(path, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := u.Keep("s", inMemory(t, "newer"), path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) || !u.Has("s") {
		t.Errorf("the older one is there still: %v", err)
	}
}
