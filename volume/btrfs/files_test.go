package btrfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
)

// TestToAndFromAnotherKind moves a volume between btrfs and plain directories, there and back, and
// looks at what is shipped and at what arrives.
func TestToAndFromAnotherKind(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	plain, err := dir.Open(t.TempDir(), dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Shut()
	p := newPair(t, fs)
	var from, to volume.Backend = p.a, plain
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	p.write(p.a, "large", large)
	p.must(os.Mkdir(filepath.Join(p.a.Path(p.id), "sub"), 0o750))
	p.must(os.Symlink("large", filepath.Join(p.a.Path(p.id), "sub", "link")))
	base := cluster.SnapshotName("")
	for epoch := cluster.Epoch(2); epoch < 7; epoch++ {
		p.must(os.WriteFile(filepath.Join(from.Path(p.id), "small"), []byte(fmt.Sprint(epoch)), 0o600))
		want := filesBelow(t, from.Path(p.id))
		p.must(from.Close(t.Context(), p.id))
		name := cluster.SnapshotName(fmt.Sprint("final", epoch))
		final, err := from.Snapshot(t.Context(), p.id, name, false)
		p.must(err)
		var stream bytes.Buffer
		d := volume.Delta{Volume: p.id, From: base, To: name, Files: true}
		p.must(from.Send(t.Context(), d, &stream))
		if base != "" && stream.Len() > 64<<10 {
			t.Errorf("epoch %d: %d bytes were shipped for a change of one", epoch, stream.Len())
		}
		p.must(to.Receive(t.Context(), d, &stream))
		p.must(from.Demote(t.Context(), p.id, epoch))
		_, err = to.Open(t.Context(), p.id, epoch, final.GUID)
		p.must(err)
		if diff := cmp.Diff(want, filesBelow(t, to.Path(p.id))); diff != "" {
			t.Fatalf("epoch %d (-want +got)\n%s", epoch, diff)
		}
		from, to, base = to, from, name
	}
}

// filesBelow returns the files, with their modes and contents.
func filesBelow(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := []byte{}
		if info.Mode().IsRegular() {
			content, err = os.ReadFile(path)
		} else if info.Mode()&os.ModeSymlink != 0 {
			var to string
			to, err = os.Readlink(path)
			content = []byte(to)
		}
		name, _ := filepath.Rel(root, path)
		found[name] = fmt.Sprintf("%s %x", info.Mode(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestEveryPathOfThreeNodes of two kinds: whatever the volume came by, the next move works, and ships a
// difference where both sides hold the same snapshot.
func TestEveryPathOfThreeNodes(t *testing.T) {
	fs := fileSystem(t, 2<<30)
	names := []string{"dir", "btrfs a", "btrfs b"}
	var paths [][]int
	var grow func(path []int)
	grow = func(path []int) {
		if len(path) == 4 {
			paths = append(paths, slices.Clone(path))
			return
		}
		for next := range names {
			if len(path) == 0 || path[len(path)-1] != next {
				grow(append(path, next))
			}
		}
	}
	grow(nil)
	for _, path := range paths {
		var rule []string
		for _, n := range path {
			rule = append(rule, names[n])
		}
		t.Run(strings.Join(rule, ", "), func(t *testing.T) {
			plain, err := dir.Open(filepath.Join(fs, cluster.NewUUID()), dir.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Shut()
			walk(t, []volume.Backend{plain, openAt(t, filepath.Join(fs, cluster.NewUUID())), openAt(t, filepath.Join(fs, cluster.NewUUID()))}, path)
		})
	}
}

// walk moves a volume along a path.
func walk(t *testing.T, nodes []volume.Backend, path []int) {
	t.Helper()
	id := cluster.VolumeID(cluster.NewUUID())
	must := (&pair{t: t}).must
	at := nodes[path[0]]
	must(at.Create(t.Context(), id, volume.Options{}))
	_, err := at.Open(t.Context(), id, 1, "")
	must(err)
	must(os.WriteFile(filepath.Join(at.Path(id), "large"), bytes.Repeat([]byte("0123456789abcdef"), 1<<16), 0o640))
	for i, next := range path[1:] {
		must(os.WriteFile(filepath.Join(at.Path(id), fmt.Sprint("file", i)), []byte(fmt.Sprint(i)), 0o600))
		want := filesBelow(t, at.Path(id))
		must(at.Close(t.Context(), id))
		final, err := at.Snapshot(t.Context(), id, cluster.SnapshotName(fmt.Sprint("final", i)), false)
		must(err)
		n, full := carry(t, at, nodes[next], id, final.Name)
		if !full && n > 64<<10 {
			t.Errorf("move %d: %d bytes were shipped for a small file", i, n)
		}
		if i > 0 && next == path[i-1] && full {
			t.Errorf("move %d: all was shipped back to where it came from", i)
		}
		must(at.Demote(t.Context(), id, cluster.Epoch(i+2)))
		at = nodes[next]
		_, err = at.Open(t.Context(), id, cluster.Epoch(i+2), final.GUID)
		must(err)
		if diff := cmp.Diff(want, filesBelow(t, at.Path(id))); diff != "" {
			t.Fatalf("move %d (-want +got)\n%s", i, diff)
		}
	}
}

// carry ships a snapshot as a handoff does: from the newest that both hold, and by files between
// different kinds or where nothing else does.
func carry(t *testing.T, from, to volume.Backend, id cluster.VolumeID, name cluster.SnapshotName) (n int, full bool) {
	t.Helper()
	d := volume.Delta{Volume: id, To: name, Files: from.Properties().Name != to.Properties().Name}
	mine, err := volume.Find(t.Context(), from, id)
	(&pair{t: t}).must(err)
	if theirs, err := volume.Find(t.Context(), to, id); err == nil {
		common, _ := volume.Common(mine.Snapshots, theirs.Snapshots)
		d.From = common.Name
	}
	for {
		var stream bytes.Buffer
		(&pair{t: t}).must(from.Send(t.Context(), d, &stream))
		n = stream.Len()
		err := to.Receive(t.Context(), d, &stream)
		if !d.Files && errors.Is(err, cluster.ErrStale) {
			d.Files = true
			continue
		}
		(&pair{t: t}).must(err)
		return n, d.From == ""
	}
}

// TestALineageThatIsNotSharedIsNoParent: what two nodes have by files, each from a third, is the same
// to everybody but the kernel.
func TestALineageThatIsNotSharedIsNoParent(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	plain, err := dir.Open(t.TempDir(), dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Shut()
	p := newPair(t, fs)
	id := cluster.VolumeID(cluster.NewUUID())
	p.must(plain.Create(t.Context(), id, volume.Options{}))
	final, err := plain.Snapshot(t.Context(), id, "s1", false)
	p.must(err)
	for _, b := range []*Backend{p.a, p.b} {
		carry(t, plain, b, id, "s1")
	}
	_, err = p.a.Open(t.Context(), id, 2, final.GUID)
	p.must(err)
	_, err = p.a.Snapshot(t.Context(), id, "s2", false)
	p.must(err)
	var stream bytes.Buffer
	d := volume.Delta{Volume: id, From: "s1", To: "s2"}
	p.must(p.a.Send(t.Context(), d, &stream))
	if err := p.b.Receive(t.Context(), d, &stream); !errors.Is(err, cluster.ErrStale) || !strings.Contains(err.Error(), "ship by files") {
		t.Errorf("got %v, want ErrStale that says what works", err)
	}
	if held, err := volume.Find(t.Context(), p.b, id); err != nil || held.Head != final.GUID {
		t.Errorf("the copy is now %+v, %v", held, err)
	}
	d.Files = true
	stream.Reset()
	p.must(p.a.Send(t.Context(), d, &stream))
	p.must(p.b.Receive(t.Context(), d, &stream))
}

// TestAnUnchangedFileIsReadOnce, however many rounds go to a node of another kind, and also where a
// round was not shipped that way.
func TestAnUnchangedFileIsReadOnce(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	plain, err := dir.Open(t.TempDir(), dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Shut()
	p := newPair(t, fs)
	const size = 64 << 20
	p.write(p.a, "large", bytes.Repeat([]byte("0123456789abcdef"), size/16))
	// What was written in the last moment before a snapshot is read again: the clock of files is coarse.
	p.must(syncFileSystem(fs))
	time.Sleep(100 * time.Millisecond)
	for i, name := range []cluster.SnapshotName{"s1", "s2", "s3"} {
		p.write(p.a, "small", []byte(name))
		_, err := p.a.Snapshot(t.Context(), p.id, name, false)
		p.must(err)
		if name == "s2" {
			continue
		}
		d := volume.Delta{Volume: p.id, To: name, Files: true}
		if i > 0 {
			d.From = "s1"
		}
		var stream bytes.Buffer
		before := bytesRead(t)
		p.must(p.a.Send(t.Context(), d, &stream))
		if n := bytesRead(t) - before; (n > size) != (i == 0) {
			t.Errorf("%d bytes were read for %s", n, d)
		}
		p.must(plain.Receive(t.Context(), d, &stream))
	}
}

// TestAWriteAfterASnapshotIsShipped, though the listing of the snapshot is made after the write.
func TestAWriteAfterASnapshotIsShipped(t *testing.T) {
	fs := fileSystem(t, 1<<30)
	plain, err := dir.Open(t.TempDir(), dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Shut()
	p := newPair(t, fs)
	for i := range 2 {
		p.write(p.a, "file", []byte{byte(2 * i)})
		one, two := cluster.SnapshotName(fmt.Sprint("s", 2*i)), cluster.SnapshotName(fmt.Sprint("s", 2*i+1))
		_, err := p.a.Snapshot(t.Context(), p.id, one, false)
		p.must(err)
		p.write(p.a, "file", []byte{byte(2*i + 1)}) // in the same tick of the clock, as like as not
		_, err = p.a.Snapshot(t.Context(), p.id, two, false)
		p.must(err)
		for j, name := range []cluster.SnapshotName{one, two} {
			carry(t, p.a, plain, p.id, name)
			_, err := plain.Open(t.Context(), p.id, cluster.Epoch(2), guid(t, plain, p.id))
			p.must(err)
			if got, err := os.ReadFile(filepath.Join(plain.Path(p.id), "file")); err != nil || got[0] != byte(2*i+j) {
				t.Fatalf("%s arrived as %v, %v", name, got, err)
			}
			p.must(plain.Close(t.Context(), p.id))
			_, err = plain.Snapshot(t.Context(), p.id, "back", false)
			p.must(err)
			p.must(plain.Demote(t.Context(), p.id, 2))
			p.must(plain.Remove(t.Context(), p.id))
		}
	}
}

// TestALookAtASnapshotIsAsOldAsTheSnapshot: what is written later is never older than it.
func TestALookAtASnapshotIsAsOldAsTheSnapshot(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	_, err := p.a.Snapshot(t.Context(), p.id, "s1", false)
	p.must(err)
	p.write(p.a, "file", nil)
	info, err := os.Stat(filepath.Join(p.a.Path(p.id), "file"))
	p.must(err)
	later := time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
	for !coarseNow().After(later) {
		runtime.Gosched()
	}
	c, err := p.a.find(p.id)
	p.must(err)
	s, err := c.shipment(c.Record(), "s1")
	if err != nil || s.Since.IsZero() || s.Since.After(later) {
		t.Errorf("a look is of %v, %v; a file was written at %v", s.Since, err, later)
	}
}

func guid(t *testing.T, b volume.Backend, id cluster.VolumeID) string {
	t.Helper()
	held, err := volume.Find(t.Context(), b, id)
	(&pair{t: t}).must(err)
	return held.Head
}

// bytesRead is how much this process has read, from whatever cache.
func bytesRead(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err == nil {
		_, err = fmt.Sscanf(string(text), "rchar: %d", &n)
	}
	(&pair{t: t}).must(err)
	return n
}
