package inuse

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/test/harness/loopfs"
)

// useVariable makes this program a user of a file: "write /data/file".
const useVariable = "DROVER_TEST_USE"

func TestMain(m *testing.M) {
	if how, path, ok := strings.Cut(os.Getenv(useVariable), " "); ok {
		if err := use(how, path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// use has a file in some way until its input ends.
func use(how, path string) error {
	flags := map[string]int{"read": os.O_RDONLY, "write": os.O_RDWR, "map": os.O_RDWR, "idle": unix.O_PATH, "work": unix.O_PATH}
	f, err := os.OpenFile(path, flags[how], 0)
	if err != nil {
		return err
	}
	switch how {
	case "map":
		if _, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return err
		}
		f.Close()
	case "work":
		if err := os.Chdir(filepath.Dir(path)); err != nil {
			return err
		}
		f.Close()
	case "idle":
		f.Close()
	}
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	return f.Close()
}

// user starts a process that has a file, in a mount namespace of its own if there is something to
// do in that first.
func user(t testing.TB, how, path, first string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	if first != "" {
		cmd = exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", first+` && exec "$0"`, os.Args[0])
	}
	cmd.Env = append(os.Environ(), useVariable+"="+how+" "+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "ready\n" {
		t.Fatalf("the user said %q, %v", said, err)
	}
	return cmd
}

// volume makes a directory with a file of a page in it.
func volume(t testing.TB, at string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(at, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "sub/file"} {
		if err := os.WriteFile(filepath.Join(at, name), make([]byte, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

func root(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: only root can mount")
	}
}

// TestWhoUsesAVolume: one row, one way to use it or not to.
func TestWhoUsesAVolume(t *testing.T) {
	root(t)
	for _, row := range []struct {
		rule       string
		how, file  string // as the process sees it
		first      string // in a namespace of its own; $V is the volume
		by, holder bool
	}{
		{"a writer", "write", "$V/file", "", true, true},
		{"a reader", "read", "$V/file", "", false, true},
		{"one who works there", "work", "$V/file", "", false, true},
		{"a file that is mapped, its descriptor closed", "map", "$V/file", "", true, true},
		{"one who has closed it", "idle", "$V/file", "", false, false},
		{"a writer beside it", "write", "$V.beside/file", "", false, false},
		{"a container that has it, idle", "idle", "$V/file", "mount --bind $V $V.beside", true, false},
		{"a container that has a part of it, idle", "idle", "$V/file", "mount --bind $V/sub $V.beside", true, false},
		{"a writer in a container, under another name", "write", "$V.beside/file", "mount --bind $V $V.beside", true, true},
		{"a writer in a container that has a part of it", "write", "$V.beside/file", "mount --bind $V/sub $V.beside", true, true},
		{"a mapping in a container, under another name", "map", "$V.beside/file", "mount --bind $V $V.beside", true, true},
		{"a writer in a container that has all around it", "write", "$V.beside/$N/file", "mount --bind $V/.. $V.beside", true, true},
		{"a container that has all around it, idle", "idle", "$V.beside/$N/file", "mount --bind $V/.. $V.beside", false, false},
		{"who received all mounts, idle", "idle", "$V/file", "true", false, false},
		{"who received all mounts, and writes", "write", "$V/file", "true", true, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			v := volume(t, filepath.Join(t.TempDir(), "data"))
			volume(t, v+".beside")
			fill := strings.NewReplacer("$V", v, "$N", filepath.Base(v)).Replace
			user(t, row.how, fill(row.file), fill(row.first))
			for path, as := range names(t, v) {
				if got := By(path); (got != "") != row.by {
					t.Errorf("%s: used by %q, want %t", as, got, row.by)
				}
				if got := Holder(path); (got != "") != row.holder {
					t.Errorf("%s: held by %q, want %t", as, got, row.holder)
				}
			}
		})
	}
}

// names returns the ways to name a directory.
func names(t *testing.T, dir string) map[string]string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(dir), link); err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(wd, dir)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{dir: "its own name", filepath.Join(link, filepath.Base(dir)): "a symbolic link", relative: "a relative path"}
}

// TestWhoUsesAMount: a volume that is a file system of its own is in every namespace that received
// the host's mounts. That alone is no use; a container's bind is, at whatever path.
func TestWhoUsesAMount(t *testing.T) {
	root(t)
	v := filepath.Join(t.TempDir(), "mounted")
	if err := os.Mkdir(v, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", v, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(v, unix.MNT_DETACH) })
	volume(t, v)
	t.Run("received", func(t *testing.T) {
		user(t, "idle", v+"/file", "true")
		if by, holder := By(v), Holder(v); by != "" || holder != "" {
			t.Errorf("used by %q, held by %q", by, holder)
		}
	})
	t.Run("received, and open", func(t *testing.T) {
		user(t, "read", v+"/file", "true")
		if by, holder := By(v), Holder(v); by != "" || holder == "" {
			t.Errorf("used by %q, held by %q", by, holder)
		}
	})
	t.Run("bound elsewhere", func(t *testing.T) {
		user(t, "idle", v+"/file", "mount --bind "+v+" "+t.TempDir())
		if by := By(v); by == "" {
			t.Error("used by nobody")
		}
	})
}

// TestWhoUsesASubvolume: every subvolume of a btrfs has a device number of its own, which no mount
// has.
func TestWhoUsesASubvolume(t *testing.T) {
	if err := loopfs.Available(); err != nil {
		t.Skipf("CANNOT RUN: btrfs on a loop device: %v", err)
	}
	fs, err := loopfs.Btrfs(t.TempDir(), 256<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Remove() })
	for _, name := range []string{"a", "b"} {
		if out, err := exec.Command("btrfs", "subvolume", "create", filepath.Join(fs.Path, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		volume(t, filepath.Join(fs.Path, name))
	}
	a, b := filepath.Join(fs.Path, "a"), filepath.Join(fs.Path, "b")
	for _, how := range []string{"write", "map"} {
		for _, first := range []string{"", "mount --bind " + a + " " + b, "mount -o subvol=a $(findmnt -no SOURCE " + fs.Path + ") " + b} {
			t.Run(how+" "+first, func(t *testing.T) {
				at := a
				if first != "" {
					at = b
				}
				user(t, how, at+"/file", first)
				if by, holder := By(a), Holder(a); by == "" || holder == "" {
					t.Errorf("used by %q, held by %q", by, holder)
				}
				if by, holder := By(b), Holder(b); by != "" || holder != "" {
					t.Errorf("the other one: used by %q, held by %q", by, holder)
				}
			})
		}
	}
}

// TestNobodyKnownIsNotNobody: who cannot look does not say that nobody is there.
func TestNobodyKnownIsNotNobody(t *testing.T) {
	v := volume(t, t.TempDir())
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	by, holder := By(v), Holder(v)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if by == "" || holder == "" {
		t.Errorf("used by %q, held by %q", by, holder)
	}
	if by := By(v + "/none"); by != "" {
		t.Errorf("what is not there is used by %q", by)
	}
}

// BenchmarkBy is what a close costs in the pause of a move, among 500 processes.
func BenchmarkBy(b *testing.B) {
	v := volume(b, filepath.Join(b.TempDir(), "v"))
	volume(b, v+".log")
	for range 500 {
		user(b, "write", v+".log/file", "")
	}
	for b.Loop() {
		if by := By(v); by != "" {
			b.Fatal(by)
		}
	}
}
