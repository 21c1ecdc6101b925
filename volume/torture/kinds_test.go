package torture

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/loopfs"
	"github.com/drover/drover/volume"
)

// The faults that were once there, each by its kind.

// dirOn makes a node with the dir backend on a file system of its own.
func dirOn(t testing.TB, kind string, bytes int64) *Node {
	t.Helper()
	if err := loopfs.Available(); err != nil {
		t.Skipf("CANNOT RUN: %s on a loop device: %v", kind, err)
	}
	n := dirNode(t, kind, filepath.Join(disk(t, kind, bytes), "volumes"))
	n.Fills = true
	return n
}

// TestAMappedPageIsNotLost: a program stores into a page that it has mapped while a round syncs, which
// takes long as much else is dirty. Its last stores are in the last round.
func TestAMappedPageIsNotLost(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			p := newPair(t, dirOn(t, kind, 2<<30), dirOn(t, "ext4", diskBytes))
			for range 3 {
				p.mapped()
			}
		})
	}
}

// mapped moves the volume while a mapped file is written to, until right before it is closed.
func (p *pair) mapped() {
	p.t.Helper()
	const size = 1 << 20
	f, err := os.OpenFile(filepath.Join(p.path, "mapped"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		p.t.Fatal(err)
	}
	pages, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		p.t.Fatal(err)
	}
	f.Close()
	p.round()
	beside := filepath.Join(p.from.Dir, "beside")
	if err := os.WriteFile(beside, bytes.Repeat([]byte("dirty"), 600<<20/5), 0o600); err != nil {
		p.t.Fatal(err)
	}
	var running sync.WaitGroup
	stop := make(chan struct{})
	running.Go(func() {
		// Each page is stored to again and again until the sync has cleaned some; no store comes after.
		for n := byte(1); ; n++ {
			for at := 0; at < size; at += 4096 {
				pages[at] = n
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	// The program stops while the round still syncs.
	timer := time.AfterFunc(400*time.Millisecond, func() { close(stop) })
	p.round()
	if timer.Stop() {
		close(stop)
	}
	running.Wait()
	if err := unix.Munmap(pages); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Remove(beside); err != nil {
		p.t.Fatal(err)
	}
	p.move()
	p.move() // and back, for another time
}

// TestHardLinksAreOfOneDevice: files on two file systems below the volume may have the same number.
func TestHardLinksAreOfOneDevice(t *testing.T) {
	p := newPair(t, dirOn(t, "ext4", diskBytes), dirOn(t, "ext4", diskBytes))
	var inodes []uint64
	for _, name := range []string{"one", "two"} {
		at := filepath.Join(p.path, name)
		if err := errors.Join(os.Mkdir(at, 0o755), unix.Mount("x", at, "tmpfs", 0, "size=1m,mode=755")); err != nil {
			t.Fatal(err)
		}
		path := file(at, "file")
		if err := errors.Join(os.WriteFile(path, []byte("this is "+name), 0o600), os.Link(path, path+"-too")); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		inodes = append(inodes, st.Ino)
	}
	if inodes[0] != inodes[1] {
		t.Fatalf("files have the numbers %v: the test tests nothing", inodes)
	}
	p.round()
	want := look(t, p.path)
	path, err := p.hand(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		got, err := os.ReadFile(filepath.Join(path, name, "file-too"))
		if err != nil || string(got) != "this is "+name {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
}

// TestTimesThatWereSet: of any year, and set back after what is below has changed.
func TestTimesThatWereSet(t *testing.T) {
	p := newPair(t, dirOn(t, "xfs", diskBytes), dirOn(t, "ext4", diskBytes))
	for n, at := range []unix.Timespec{{Sec: firstTime}, {Sec: lastTime}, {Sec: 1_000_000_000, Nsec: 123_456_789}, {Sec: -1, Nsec: 999_999_999}, {}} {
		dir := filepath.Join(p.path, fmt.Sprint("dir", n))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		p.round()
		file(dir, "new") // and its directory shall not look as if there were something new
		if err := errors.Join(setTime(filepath.Join(dir, "new"), at), setTime(dir, at)); err != nil {
			t.Fatal(err)
		}
		p.round()
		if err := setTime(p.path, at); err != nil {
			t.Fatal(err)
		}
	}
	p.move()
}

// TestHolesCostNothing: what is not there is not read, not shipped and not stored.
func TestHolesCostNothing(t *testing.T) {
	for _, row := range []struct {
		on   string
		size int64
		data int
	}{{"ext4", 64 << 30, 1}, {"ext4", 1 << 40, 1 << 20}, {"xfs", 1 << 40, 1 << 20}, {"xfs", 1 << 62, 1}, {"btrfs", 1 << 40, 1 << 20}} {
		t.Run(fmt.Sprintf("%d bytes on %s", row.size, row.on), func(t *testing.T) {
			from, to := dirOn(t, row.on, diskBytes), dirOn(t, row.on, diskBytes)
			p := newPair(t, from, to)
			name := filepath.Join(p.path, "sparse")
			data := bytes.Repeat([]byte("data"), row.data/4+1)[:row.data]
			at := row.size/2 | 1
			writeAt(t, name, row.size, data, at)
			d := volume.Delta{Volume: p.trial.id, To: "s1"}
			if n := shipped(t, from, to, d); n > int64(row.data)+1<<20 {
				t.Errorf("%d bytes were shipped for %d", n, row.data)
			}
			writeAt(t, name, row.size, []byte("x"), at+2)
			d.From, d.To = "s1", "s2"
			if n := shipped(t, from, to, d); n > 1<<20 {
				t.Errorf("%d bytes were shipped for one", n)
			}
			var st unix.Stat_t
			if err := unix.Stat(filepath.Join(to.Backend.Path(p.trial.id), "sparse"), &st); err != nil {
				t.Fatal(err)
			}
			if st.Size != row.size || st.Blocks*512 > int64(row.data)+1<<20 {
				t.Errorf("the copy has %d bytes and takes up %d", st.Size, st.Blocks*512)
			}
			if wrong := look(t, p.path).Differences(look(t, to.Backend.Path(p.trial.id))); len(wrong) > 0 {
				t.Error(wrong)
			}
		})
	}
}

// writeAt writes into a file of that size.
func writeAt(t testing.TB, name string, size int64, data []byte, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(data, at)
	if err := errors.Join(err, f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// shipped ships a snapshot and returns how long the stream was.
func shipped(t testing.TB, from, to *Node, d volume.Delta) int64 {
	t.Helper()
	if _, err := from.Backend.Snapshot(t.Context(), d.Volume, d.To, false); err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if err := from.Backend.Send(t.Context(), d, &stream); err != nil {
		t.Fatal(err)
	}
	n := int64(stream.Len())
	if err := to.Backend.Receive(t.Context(), d, &stream); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAKeptSnapshotHasHoles: it takes up what the volume does, and less where blocks can be shared.
func TestAKeptSnapshotHasHoles(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(kind, func(t *testing.T) {
			n := dirOn(t, kind, diskBytes)
			id := cluster.VolumeID(cluster.NewUUID())
			path := plant(t, n, id)
			writeAt(t, filepath.Join(path, "sparse"), 2<<30, make([]byte, 4096), 1<<30)
			was := look(t, path)
			if _, err := n.Backend.Snapshot(t.Context(), id, "kept", true); err != nil {
				t.Fatal(err)
			}
			writeAt(t, filepath.Join(path, "sparse"), 2<<30, []byte("written later"), 0)
			kept, done, err := n.Peek(id, "kept")
			if err != nil {
				t.Fatal(err)
			}
			defer done()
			if wrong := was.Differences(look(t, kept)); len(wrong) > 0 {
				t.Error(wrong)
			}
			if kept == path {
				t.Error("nothing was kept")
			}
		})
	}
}

// TestAProtectedFileMovesBack: what is immutable or append-only on the node that the volume comes back
// to stops nothing.
func TestAProtectedFileMovesBack(t *testing.T) {
	p := newPair(t, dirOn(t, "ext4", diskBytes), dirOn(t, "xfs", diskBytes))
	if err := os.Mkdir(filepath.Join(p.path, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	file(p.path, "dir/inside")
	for name, flags := range map[string]int{"changed": flagImmutable, "removed": flagImmutable, "log": flagAppend, "dir": flagImmutable} {
		path := filepath.Join(p.path, name)
		if name != "dir" {
			file(p.path, name)
		}
		defer setFlags(path, 0)
		if err := setFlags(path, flags); err != nil {
			t.Fatal(err)
		}
	}
	p.move()
	for _, name := range []string{"changed", "removed", "log", "dir"} {
		if err := setFlags(filepath.Join(p.path, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.Remove(filepath.Join(p.path, "removed")), os.WriteFile(filepath.Join(p.path, "changed"), []byte("new"), 0o600),
		os.Truncate(filepath.Join(p.path, "log"), 2), os.Remove(filepath.Join(p.path, "dir/inside")), setFlags(filepath.Join(p.path, "log"), flagImmutable))
	if err != nil {
		t.Fatal(err)
	}
	p.move()
	p.move()
}

// TestNamesThatChangeTheirKind, from a file to a directory, a link, a FIFO, while rounds read them.
func TestNamesThatChangeTheirKind(t *testing.T) {
	p := newPair(t, dirOn(t, "ext4", diskBytes), dirOn(t, "xfs", diskBytes))
	var running sync.WaitGroup
	stop := make(chan struct{})
	running.Go(func() {
		content := bytes.Repeat([]byte("content"), 50_000)
		for n := 0; ; n++ {
			path := filepath.Join(p.path, fmt.Sprint("name", n%7))
			_ = os.RemoveAll(path)
			switch n % 5 {
			case 0:
				_ = os.WriteFile(path, content[:n*7919%len(content)], 0o600)
			case 1:
				_ = os.MkdirAll(filepath.Join(path, "below", "below"), 0o700)
				_ = os.WriteFile(filepath.Join(path, "below", "file"), content[:n%1000], 0o600)
			case 2:
				_ = os.Symlink("name0", path)
			case 3:
				_ = unix.Mkfifo(path, 0o600)
			case 4:
				_ = os.Link(filepath.Join(p.path, fmt.Sprint("name", (n+1)%7)), path)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range 12 {
		p.round()
	}
	close(stop)
	running.Wait()
	p.move()
}

// TestAFullTargetIsNoDeadEnd: attempts that find no space leave no copy after copy behind, and when
// there is some again the transfer goes on.
func TestAFullTargetIsNoDeadEnd(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			from, to := dirOn(t, "ext4", diskBytes), dirOn(t, kind, diskBytes)
			p := newPair(t, from, to)
			for n := range 20 {
				writeAt(t, filepath.Join(p.path, fmt.Sprint("file", n)), 1<<20, bytes.Repeat([]byte{byte(n + 1)}, 1<<20), 0)
			}
			free, err := to.fill(3 << 20)
			if err != nil {
				t.Fatal(err)
			}
			s := &shipper{trial: p.trial, from: from, to: to}
			for range 6 {
				if _, err := s.attempt("round-1", hurdle{}); err == nil {
					t.Fatal("20 MiB went into 3")
				} else if !errors.Is(err, cluster.ErrRefused) && !errors.Is(err, cluster.ErrUnavailable) {
					t.Fatalf("a full disk is %v", err)
				}
			}
			if err := free(); err != nil {
				t.Fatal(err)
			}
			p.round()
			p.move()
			aside, err := filepath.Glob(filepath.Join(to.Dir, "volumes", "trash", string(p.trial.id)+"*"))
			if err != nil || len(aside) > 1 {
				t.Errorf("%d copies were left behind: %s, %v", len(aside), strings.Join(aside, " "), err)
			}
		})
	}
}

// TestWhatAnOrdinaryUserMayNotWrite goes on after a cut, and is received.
func TestWhatAnOrdinaryUserMayNotWrite(t *testing.T) {
	if os.Getuid() == 0 && os.Getenv(asUser) == "" {
		root := filepath.Join(t.TempDir(), "of-a-user")
		if err := errors.Join(os.Mkdir(root, 0o755), os.Chown(root, user, user)); err != nil {
			t.Fatal(err)
		}
		passable(t, root)
		if out, err := asUserCommand(t, []string{"torture", root}, "-test.run=^"+t.Name()+"$").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	root := strings.Split(os.Getenv(asUser)+"\n"+t.TempDir(), "\n")[1]
	p := newPair(t, dirNode(t, "a", filepath.Join(root, "a")), dirNode(t, "b", filepath.Join(root, "b")))
	dir := filepath.Join(p.path, "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		path := filepath.Join(dir, fmt.Sprint("file", n))
		writeAt(t, path, 1<<20, bytes.Repeat([]byte{byte(n + 1)}, 1<<20), 0)
		if err := os.Chmod(path, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	s := &shipper{trial: p.trial, from: p.from, to: p.to}
	for part := range 5 {
		if _, err := s.attempt("round-1", hurdle{cut: 700_000}); err == nil && part < 3 {
			t.Fatalf("the stream was not cut in part %d", part)
		}
	}
	p.round()
	path := filepath.Join(dir, "file1")
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte("another"), 0o600), os.Chmod(path, 0o400)); err != nil {
		t.Fatal(err)
	}
	p.move()
	p.move()
}
