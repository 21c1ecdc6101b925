package torture

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/loopfs"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/btrfs"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/zfs"
)

// diskBytes is the size of a file system: small, so that it is full soon.
const diskBytes = 512 << 20

// disk makes a file system that lives as long as the test, for anybody to make directories in.
func disk(t testing.TB, kind string, bytes int64) string {
	t.Helper()
	fs, err := loopfs.Make(t.TempDir(), kind, bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fs.Remove(); err != nil {
			t.Error(err)
		}
	})
	passable(t, fs.Path)
	return fs.Path
}

// passable lets ordinary users through to a directory of a test.
func passable(t testing.TB, path string) {
	t.Helper()
	for ; path != filepath.Clean(os.TempDir()) && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// nodes makes one of every kind that this machine has: three of each backend, so that every path
// through three of any kinds can be walked.
func nodes(t testing.TB) []*Node {
	t.Helper()
	if do := strings.Split(os.Getenv(asUser), "\n"); do[0] == "torture" {
		return userNodes(t, do[1:])
	}
	if os.Getuid() != 0 {
		return []*Node{dirNode(t, "a plain directory", t.TempDir()), dirNode(t, "a plain directory", t.TempDir()), dirNode(t, "a plain directory", t.TempDir())}
	}
	if err := loopfs.Available(); err != nil {
		t.Fatalf("CANNOT RUN: file systems on loop devices: %v", err)
	}
	var all []*Node
	for _, kind := range []string{"ext4", "xfs", "btrfs"} {
		d := powered(t, kind)
		n := dirNode(t, kind, filepath.Join(d.Path(), "volumes"))
		if n.Fills = kind != "btrfs"; n.Fills {
			n.PowerCut = cutting(t, d) // a btrfs is now and then not found again by the mount that follows
		}
		all = append(all, n)
	}
	for _, mixed := range []bool{false, false, true} {
		d := powered(t, "btrfs")
		if mixed {
			mix(t, d.Path())
		}
		n := btrfsNode(t, filepath.Join(d.Path(), "volumes"))
		n.Fills = mixed
		all = append(all, n)
	}
	if hasZFS() {
		for range 3 {
			all = append(all, zfsNode(t, pool(t)))
		}
	}
	return all
}

// dirNode is one with the dir backend, on a file system of that name.
func dirNode(t testing.TB, on, root string) *Node {
	t.Helper()
	n := node(t, "dir on "+on, root, func() (volume.Backend, func() error, error) {
		b, err := dir.Open(root, dir.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, nil, err
		}
		return b, b.Shut, nil
	})
	n.Peek = func(id cluster.VolumeID, at cluster.SnapshotName) (string, func(), error) {
		path := filepath.Join(root, string(id), "kept", base64.RawURLEncoding.EncodeToString([]byte(at)))
		if _, err := os.Lstat(path); err != nil {
			path = filepath.Join(root, string(id), "data")
		}
		return path, func() {}, nil
	}
	return n
}

func btrfsNode(t testing.TB, root string) *Node {
	t.Helper()
	n := node(t, "btrfs", root, func() (volume.Backend, func() error, error) {
		b, err := btrfs.Open(root, btrfs.Options{})
		if err != nil {
			return nil, nil, err
		}
		return b, b.Shut, nil
	})
	n.Peek = func(id cluster.VolumeID, at cluster.SnapshotName) (string, func(), error) {
		return filepath.Join(root, string(id), "@"+url.PathEscape(string(at))), func() {}, nil
	}
	n.Settle = func() {
		for _, what := range []string{"filesystem", "subvolume"} {
			_ = exec.Command("btrfs", what, "sync", filepath.Dir(root)).Run() // it only waits
		}
	}
	return n
}

// mix makes a file system anew that keeps names and content in one place: any other small btrfs that
// was full once stays so, whatever is removed then.
func mix(t testing.TB, path string) {
	t.Helper()
	command(t, "umount", path)
	command(t, "mkfs.btrfs", "-q", "-f", "--mixed", path+".img")
	command(t, "mount", "-t", "btrfs", "-o", "loop,noatime", path+".img", path)
}

// hasZFS reports whether this kernel has it.
func hasZFS() bool {
	_, err := os.Stat("/proc/spl/kstat/zfs")
	return err == nil
}

// pool makes a pool in a file, which lives as long as the test, and returns its name.
func pool(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, diskBytes)); err != nil {
		t.Fatal(err)
	}
	name := "t" + cluster.NewUUID()[:8]
	command(t, "zpool", "create", "-O", "mountpoint=none", "-O", "acltype=posixacl", "-O", "xattr=sa", name, file)
	t.Cleanup(func() { command(t, "zpool", "destroy", "-f", name) })
	return name
}

func zfsNode(t testing.TB, pool string) *Node {
	t.Helper()
	root, at := pool+"/drover", t.TempDir()
	// What fills the pool, and what is tried of it, is in a dataset beside.
	beside := filepath.Join(at, "beside")
	if err := os.Mkdir(beside, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "zfs", "create", "-o", "mountpoint=legacy", "-o", "compression=off", pool+"/beside")
	command(t, "mount", "-t", "zfs", pool+"/beside", beside)
	t.Cleanup(func() {
		for _, path := range append(glob(filepath.Join(at, "mounts", "*")), beside) {
			_ = unix.Unmount(path, unix.MNT_DETACH)
		}
	})
	n := nodeIn(t, "zfs", beside, func() (volume.Backend, func() error, error) {
		b, err := zfs.Open(root, zfs.Options{Dir: at})
		if err != nil {
			return nil, nil, err
		}
		return b, b.Shut, nil
	})
	n.Peek = func(id cluster.VolumeID, snapshot cluster.SnapshotName) (string, func(), error) {
		out, err := exec.Command("zfs", "get", "-Hr", "-t", "filesystem", "-o", "name,value", "-s", "local", "drover:volume", root).Output()
		if err != nil {
			return "", nil, err
		}
		for line := range strings.Lines(string(out)) {
			name, of, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if of != string(id) || strings.Contains(name, "/drover:trash/") {
				continue
			}
			path := filepath.Join(at, "peek")
			if err := os.MkdirAll(path, 0o700); err != nil {
				return "", nil, err
			}
			said, err := exec.Command("mount", "-t", "zfs", "-o", "ro", name+"@"+string(snapshot), path).CombinedOutput()
			if err != nil {
				return "", nil, fmt.Errorf("mount %s@%s: %w: %s", name, snapshot, err, said)
			}
			return path, func() { _ = unix.Unmount(path, unix.MNT_DETACH) }, nil
		}
		return "", nil, fmt.Errorf("no dataset of volume %s below %s", id, root)
	}
	n.Fills, n.Settle = true, func() { _ = exec.Command("zpool", "sync", pool).Run() }
	return n
}

func glob(pattern string) []string {
	found, _ := filepath.Glob(pattern) // the pattern is good
	return found
}

// command runs a program as an operator would.
func command(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// node makes one of a backend that can be opened again and again; at is a directory of its own.
func node(t testing.TB, name, at string, open func() (volume.Backend, func() error, error)) *Node {
	t.Helper()
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	return nodeIn(t, name, filepath.Dir(at), open)
}

func nodeIn(t testing.TB, name, beside string, open func() (volume.Backend, func() error, error)) *Node {
	t.Helper()
	b, shut, err := open()
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Name: name, Backend: b, Dir: beside}
	n.Reopen = func(meanwhile func()) (volume.Backend, error) {
		if err := shut(); err != nil {
			return nil, err
		}
		meanwhile()
		b, shut, err = open()
		return b, err
	}
	t.Cleanup(func() { _ = shut() })
	if n.Can, err = Probe(beside); err != nil {
		t.Fatal(err)
	}
	return n
}
