package zfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/backendtest"
)

// pool makes a pool on a file, which lives as long as the test, and returns its name.
func pool(t *testing.T, megabytes int64) string {
	t.Helper()
	return poolIn(t, t.TempDir(), megabytes)
}

func poolIn(t *testing.T, dir string, megabytes int64) string {
	t.Helper()
	needZFS(t)
	file := filepath.Join(dir, "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, megabytes<<20); err != nil {
		t.Fatal(err)
	}
	name := "t" + cluster.NewUUID()[:8]
	command(t, "zpool", "create", "-O", "mountpoint=none", name, file)
	t.Cleanup(func() { command(t, "zpool", "destroy", "-f", name) })
	return name
}

func needZFS(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(kstat); err != nil {
		t.Skip("CANNOT RUN here: no ZFS in this kernel; make test-zfs runs it in a virtual host")
	}
}

// command runs a program as an operator would.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// property returns one of a dataset.
func property(t *testing.T, dataset, name string) string {
	t.Helper()
	return command(t, "zfs", "get", "-Hp", "-o", "value", name, dataset)
}

func openAt(t *testing.T, root, dir string) *Backend {
	t.Helper()
	b, err := Open(root, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Shut()
		for _, at := range glob(t, filepath.Join(b.o.MountRoot, "*")) {
			_ = unix.Unmount(at, 0) // most are
		}
	})
	return b
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// place returns a backend over a dataset of its own.
func place(t *testing.T, pool string) *Backend {
	t.Helper()
	return openAt(t, pool+"/"+cluster.NewUUID()[:8], t.TempDir())
}

func TestConformance(t *testing.T) {
	pool := pool(t, 1<<10)
	backendtest.Run(t, func(t *testing.T) backendtest.Harness {
		root, dir := pool+"/"+cluster.NewUUID()[:8], t.TempDir()
		b := openAt(t, root, dir)
		return backendtest.Harness{
			Backend: b,
			Write: func(id cluster.VolumeID, name, content string) error {
				return os.WriteFile(filepath.Join(b.Path(id), name), []byte(content), 0o644)
			},
			Read: func(id cluster.VolumeID) (map[string]string, error) { return readFiles(t, b, id) },
			Reopen: func() volume.Backend {
				b.Shut()
				b = openAt(t, root, dir)
				return b
			},
		}
	})
}

// readFiles returns the files of a copy: of what is open, or of what it would be opened with.
func readFiles(t *testing.T, b *Backend, id cluster.VolumeID) (map[string]string, error) {
	d, err := b.find(context.Background(), id)
	if err != nil {
		return nil, err
	}
	at := b.Path(id)
	if !d.mounted() {
		at = t.TempDir()
		what, options := d.name, "ro,zfsutil"
		if n := len(d.snapshots); n > 0 && d.role() == cluster.Replica {
			what, options = d.name+"@"+d.snapshots[n-1].name, "ro"
		}
		command(t, "mount", "-t", "zfs", "-o", options, what, at)
		defer command(t, "umount", at)
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, entry := range entries {
		b, err := os.ReadFile(filepath.Join(at, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", entry.Name(), err)
		}
		files[entry.Name()] = string(b)
	}
	return files, nil
}
