package powercut_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/test/harness/powercut"
)

// TestACutLosesWhatIsNotOnTheDisk, and nothing else: else every other test of this kind would be
// green for nothing.
func TestACutLosesWhatIsNotOnTheDisk(t *testing.T) {
	powercut.Each(t, func(t *testing.T, kind string) {
		d := powercut.New(t, kind, 512<<20)
		name := func(base string) string { return filepath.Join(d.Path(), base) }
		for range 2 {
			write(t, name("synced"), true)
			write(t, name("not-synced"), false)
			d.Cut()
			if b, err := os.ReadFile(name("synced")); err != nil || string(b) != "content" {
				t.Errorf("what was on the disk is %q, %v", b, err)
			}
			if b, err := os.ReadFile(name("not-synced")); err == nil && len(b) > 0 {
				t.Errorf("what nobody had written out is still there: %q", b)
			}
			_ = os.Remove(name("synced"))
		}
	})
}

func write(t *testing.T, path string, sync bool) {
	t.Helper()
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !sync {
		return
	}
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
}
