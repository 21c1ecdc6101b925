package btrfs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/loopfs"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/backendtest"
)

// fileSystem makes a btrfs file system that lives as long as the test.
func fileSystem(t *testing.T, bytes int64) string {
	t.Helper()
	if err := loopfs.Available(); err != nil {
		t.Skipf("CANNOT RUN: btrfs on a loop device: %v", err)
	}
	fs, err := loopfs.Btrfs(t.TempDir(), bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fs.Remove(); err != nil {
			t.Error(err)
		}
	})
	return fs.Path
}

func openAt(t *testing.T, root string) *Backend {
	t.Helper()
	b, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Shut() })
	return b
}

func TestConformance(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	backendtest.Run(t, func(t *testing.T) backendtest.Harness {
		root := filepath.Join(fs, cluster.NewUUID())
		b := openAt(t, root)
		return backendtest.Harness{
			Backend: b,
			Write: func(id cluster.VolumeID, name, content string) error {
				return os.WriteFile(filepath.Join(root, string(id), "data", name), []byte(content), 0o644)
			},
			Read: func(id cluster.VolumeID) (map[string]string, error) { return readFiles(t, b, id) },
			Reopen: func() volume.Backend {
				b.Shut()
				b = openAt(t, root)
				return b
			},
		}
	})
}

// readFiles returns the files of a copy: of what is open, or of the newest snapshot.
func readFiles(t *testing.T, b *Backend, id cluster.VolumeID) (map[string]string, error) {
	c, err := b.find(id)
	if err != nil {
		return nil, err
	}
	dir := c.Data()
	if record := c.Record(); record.Role == cluster.Replica {
		dir = c.snapshotPath(record.Snapshots[len(record.Snapshots)-1].Name)
	}
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		files[entry.Name()] = string(content)
	}
	return files, err
}

func TestOnlyOnBtrfs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: not root")
	}
	_, err := Open("/dev/shm/drover-"+cluster.NewUUID(), Options{})
	if !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), "not on a btrfs file system") {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

// A pair is two places with a volume that is born on the first.
type pair struct {
	t    *testing.T
	a, b *Backend
	id   cluster.VolumeID
}

func newPair(t *testing.T, fs string) *pair {
	t.Helper()
	p := &pair{t: t, a: openAt(t, filepath.Join(fs, cluster.NewUUID())), b: openAt(t, filepath.Join(fs, cluster.NewUUID()))}
	p.id = cluster.VolumeID(cluster.NewUUID())
	p.must(p.a.Create(t.Context(), p.id, volume.Options{}))
	_, err := p.a.Open(t.Context(), p.id, 1, "")
	p.must(err)
	return p
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) write(b *Backend, name string, content []byte) {
	p.t.Helper()
	p.must(os.WriteFile(filepath.Join(b.Path(p.id), name), content, 0o644))
}

func (p *pair) ship(from, to *Backend, base, name cluster.SnapshotName) int {
	p.t.Helper()
	_, err := from.Snapshot(p.t.Context(), p.id, name, false)
	p.must(err)
	var stream bytes.Buffer
	d := volume.Delta{Volume: p.id, From: base, To: name}
	p.must(from.Send(p.t.Context(), d, &stream))
	n := stream.Len()
	// The estimate knows each extent, but not how many writes the kernel makes of it.
	estimate, err := from.Estimate(p.t.Context(), d)
	p.must(err)
	if float64(n) > 1.05*float64(estimate)+4096 || float64(estimate) > 1.05*float64(n)+4096 {
		p.t.Errorf("%s: %d bytes were estimated and %d shipped", d, estimate, n)
	}
	p.must(to.Receive(p.t.Context(), d, &stream))
	return n
}

// TestOnlyWhatChangedIsShipped, in either direction.
func TestOnlyWhatChangedIsShipped(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	p.write(p.a, "large", bytes.Repeat([]byte("0123456789abcdef"), 1<<20))
	if n := p.ship(p.a, p.b, "", "s1"); n < 16<<20 {
		t.Errorf("a full stream of 16 MiB has %d bytes", n)
	}
	p.must(p.a.Close(t.Context(), p.id))
	base := cluster.SnapshotName("s1")
	from, to := p.a, p.b
	for epoch := cluster.Epoch(2); epoch < 6; epoch++ {
		final := cluster.SnapshotName("final" + string(rune('0'+epoch)))
		if n := p.ship(from, to, base, final); n > 64<<10 {
			t.Errorf("epoch %d: %d bytes for next to nothing", epoch, n)
		}
		p.must(from.Demote(t.Context(), p.id, epoch))
		held, err := volume.Find(t.Context(), to, p.id)
		p.must(err)
		_, err = to.Open(t.Context(), p.id, epoch, held.Head)
		p.must(err)
		p.write(to, "small", []byte{byte(epoch)})
		p.must(to.Close(t.Context(), p.id))
		from, to, base = to, from, final
	}
}

// TestAroundThreeNodes: what was received is sent on, in full and as a base, and a node that the
// volume comes back to builds on what it held when it left.
func TestAroundThreeNodes(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	// Each on a file system of its own: on one, the same lineage stands for three subvolumes.
	a, b, c := p.a, openAt(t, filepath.Join(fileSystem(t, 1<<30), "v")), openAt(t, filepath.Join(fileSystem(t, 1<<30), "v"))
	epoch := cluster.Epoch(1)
	promote := func(from, to *Backend, change string) {
		t.Helper()
		epoch++
		held, err := volume.Find(t.Context(), to, p.id)
		p.must(err)
		p.must(from.Demote(t.Context(), p.id, epoch))
		_, err = to.Open(t.Context(), p.id, epoch, held.Head)
		p.must(err)
		p.write(to, change, []byte(change))
		p.must(to.Close(t.Context(), p.id))
	}
	p.write(a, "large", bytes.Repeat([]byte("0123456789abcdef"), 1<<18))
	p.must(a.Close(t.Context(), p.id))
	p.ship(a, b, "", "f1")
	promote(a, b, "at b")
	p.ship(b, c, "", "f1")
	p.ship(b, c, "f1", "f2")
	promote(b, c, "at c")
	if n := p.ship(c, a, "f1", "f3"); n > 64<<10 {
		t.Errorf("%d bytes were shipped back to the node that it began at", n)
	}
	promote(c, a, "at a")
	p.ship(a, b, "f1", "f4") // b holds f1 and f2
	promote(a, b, "again at b")
	files, err := readFiles(t, b, p.id)
	if err != nil || len(files) != 5 || len(files["large"]) != 4<<20 {
		t.Errorf("at the end there are %d files, %v", len(files), err)
	}
}

// TestACutLeavesNothing: neither on the record nor on the disk.
func TestACutLeavesNothing(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	p.write(p.a, "large", bytes.Repeat([]byte("x"), 1<<20))
	_, err := p.a.Snapshot(t.Context(), p.id, "s1", false)
	p.must(err)
	var stream bytes.Buffer
	d := volume.Delta{Volume: p.id, To: "s1"}
	p.must(p.a.Send(t.Context(), d, &stream))
	cut := errors.New("cut")
	for _, length := range []int{0, 10, 100, 1000, 100_000, stream.Len() - 1} {
		r := io.MultiReader(bytes.NewReader(stream.Bytes()[:length]), failing{cut})
		if err := p.b.Receive(t.Context(), d, r); !errors.Is(err, cut) {
			t.Errorf("cut at %d: got %v", length, err)
		}
		c, err := p.b.find(p.id)
		if errors.Is(err, cluster.ErrNotFound) {
			continue
		}
		p.must(err)
		entries, err := os.ReadDir(c.Dir)
		p.must(err)
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), "@") || entry.Name() == "incoming" {
				t.Errorf("cut at %d: %s is left", length, entry.Name())
			}
		}
	}
	// The transfer's hash comes behind what the kernel calls the end.
	if err := p.b.Receive(t.Context(), d, io.MultiReader(bytes.NewReader(stream.Bytes()), failing{cut})); !errors.Is(err, cut) {
		t.Errorf("a wrong hash: got %v", err)
	}
	p.must(p.b.Receive(t.Context(), d, &stream))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestASendEndsWithItsContext though nobody reads what it writes.
func TestASendEndsWithItsContext(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	p.write(p.a, "large", bytes.Repeat([]byte("x"), 4<<20))
	_, err := p.a.Snapshot(t.Context(), p.id, "s1", false)
	p.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{}, 1)
	sent := make(chan error, 1)
	go func() { sent <- p.a.Send(ctx, volume.Delta{Volume: p.id, To: "s1"}, stuck{ctx, began}) }()
	<-began
	cancel()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// stuck is a connection on which nothing moves until its context ends.
type stuck struct {
	ctx   context.Context
	began chan struct{}
}

func (s stuck) Write([]byte) (int, error) {
	select {
	case s.began <- struct{}{}:
	default:
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// TestWritesBehindOurBack: what was written after the last snapshot, by whomever, is not lost.
func TestWritesBehindOurBack(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	for _, row := range []struct {
		rule     string
		touch    func(dir string) error
		diverged bool
	}{
		{"nothing", func(string) error { return nil }, false},
		{"a change of times alone is no difference", func(dir string) error {
			now := unix.Timespec{Sec: 1}
			return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, "file"), []unix.Timespec{now, now}, 0)
		}, false},
		{"a byte", func(dir string) error { return os.WriteFile(filepath.Join(dir, "file"), []byte("two"), 0o644) }, true},
		{"a new file", func(dir string) error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o644) }, true},
		{"a mode", func(dir string) error { return os.Chmod(filepath.Join(dir, "file"), 0o600) }, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			p := newPair(t, fs)
			p.write(p.a, "file", []byte("one"))
			p.must(p.a.Close(t.Context(), p.id))
			p.ship(p.a, p.b, "", "final")
			p.must(row.touch(p.a.Path(p.id)))
			err := p.a.Demote(t.Context(), p.id, 2)
			var diverged *volume.Diverged
			if errors.As(err, &diverged) != row.diverged || (!row.diverged && err != nil) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestInUse: a volume is not closed while anybody can write to it, also by another name, as from a
// container.
func TestInUse(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	elsewhere := t.TempDir()
	const script = `mount --bind "$1" "$2" && echo mounted && exec sleep 60`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", p.a.Path(p.id), elsewhere)
	out, err := cmd.StdoutPipe()
	p.must(err)
	p.must(cmd.Start())
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := p.a.Close(t.Context(), p.id); !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "mounted at "+elsewhere) {
		t.Errorf("mounted elsewhere: got %v, want ErrConflict that says where", err)
	}
	p.must(cmd.Process.Kill())
	cmd.Wait()
	f, err := os.Create(filepath.Join(p.a.Path(p.id), "file"))
	p.must(err)
	if err := p.a.Close(t.Context(), p.id); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("open for writing: got %v, want ErrConflict", err)
	}
	p.must(f.Close())
	p.must(p.a.Close(t.Context(), p.id))
}

// TestLimit: a writer is stopped at the size limit of its volume, on either side of a move.
func TestLimit(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	fill := func(b *Backend) error {
		f, err := os.Create(filepath.Join(b.Path(p.id), "fill"))
		p.must(err)
		defer f.Close()
		_, err = f.Write(bytes.Repeat([]byte("x"), 20<<20))
		return errors.Join(err, f.Sync(), os.Remove(f.Name()))
	}
	p.must(fill(p.a))
	p.must(p.a.Resize(t.Context(), p.id, 10<<20))
	if err := fill(p.a); !errors.Is(err, unix.EDQUOT) {
		t.Errorf("past the limit: got %v, want EDQUOT", err)
	}
	p.must(p.a.Close(t.Context(), p.id))
	p.ship(p.a, p.b, "", "s1")
	p.must(p.b.Resize(t.Context(), p.id, 10<<20))
	held, err := volume.Find(t.Context(), p.b, p.id)
	p.must(err)
	_, err = p.b.Open(t.Context(), p.id, 2, held.Head)
	p.must(err)
	if err := fill(p.b); !errors.Is(err, unix.EDQUOT) {
		t.Errorf("past the limit after the move: got %v, want EDQUOT", err)
	}
	p.must(p.b.Resize(t.Context(), p.id, 0))
	p.must(fill(p.b))
}

// TestAFullDisk is an error that does not pass by itself, and leaves the copy as it was.
func TestAFullDisk(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	small := openAt(t, filepath.Join(fileSystem(t, 128<<20), "v"))
	p.write(p.a, "file", []byte("one"))
	p.ship(p.a, small, "", "s1")
	p.write(p.a, "large", bytes.Repeat([]byte("x"), 200<<20))
	_, err := p.a.Snapshot(t.Context(), p.id, "s2", false)
	p.must(err)
	d := volume.Delta{Volume: p.id, From: "s1", To: "s2"}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(p.a.Send(t.Context(), d, writer)) }()
	err = small.Receive(t.Context(), d, reader)
	reader.Close()
	if !errors.Is(err, unix.ENOSPC) || !cluster.Lasting(err) {
		t.Errorf("got %v, want ENOSPC that lasts", err)
	}
	held, err := volume.Find(t.Context(), small, p.id)
	if err != nil || len(held.Snapshots) != 1 || held.Snapshots[0].Name != "s1" {
		t.Errorf("the copy is now %+v, %v", held, err)
	}
}
