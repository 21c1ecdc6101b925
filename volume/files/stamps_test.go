package files

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func loopExt4(t *testing.T, args ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: only root can mount a file system")
	}
	dir := t.TempDir()
	img, mnt := filepath.Join(dir, "img"), filepath.Join(dir, "mnt")
	run := func(name string, args ...string) {
		if b, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v %s", name, args, err, b)
		}
	}
	run("truncate", "-s", "200M", img)
	run("mkfs.ext4", append(append([]string{"-q"}, args...), img)...)
	if err := os.Mkdir(mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	run("mount", "-o", "loop", img, mnt)
	t.Cleanup(func() { run("umount", mnt) })
	return mnt
}

func (s *stage) moveTo(mnt string) {
	s.src, s.dst = filepath.Join(mnt, "src"), filepath.Join(mnt, "dst")
	s.must(os.Mkdir(s.src, 0o755))
	s.must(os.Mkdir(s.dst, 0o755))
}

// TestStampsOfWholeSecondsAreBelievedLater: ext4 with inodes of 128 bytes, and ext3 as ext4 mounts it,
// stamps whole seconds.
func TestStampsOfWholeSecondsAreBelievedLater(t *testing.T) {
	s := newStage(t)
	s.moveTo(loopExt4(t, "-I", "128"))
	for time.Now().Nanosecond() > 100e6 {
		time.Sleep(time.Millisecond)
	}
	s.write("f", "old")
	time.Sleep(100 * time.Millisecond)
	s.round()
	s.must(os.WriteFile(filepath.Join(s.src, "f"), []byte("new"), 0o644)) // acknowledged, in the same second
	s.round()                                                             // the last one
	if b, _ := os.ReadFile(filepath.Join(s.dst, "f")); string(b) != "new" {
		t.Errorf("the target has %q", b)
	}
}
