package btrfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

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

// TestWhatCameByFilesIsNoParent: the kernel of another node knows nothing of it.
func TestWhatCameByFilesIsNoParent(t *testing.T) {
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
	var stream bytes.Buffer
	p.must(plain.Send(t.Context(), volume.Delta{Volume: id, To: "s1", Files: true}, &stream))
	p.must(p.a.Receive(t.Context(), volume.Delta{Volume: id, To: "s1", Files: true}, &stream))
	_, err = p.a.Open(t.Context(), id, 2, final.GUID)
	p.must(err)
	_, err = p.a.Snapshot(t.Context(), id, "s2", false)
	p.must(err)
	err = p.a.Send(t.Context(), volume.Delta{Volume: id, From: "s1", To: "s2"}, &bytes.Buffer{})
	if !errors.Is(err, cluster.ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
	p.must(p.a.Send(t.Context(), volume.Delta{Volume: id, To: "s2"}, &bytes.Buffer{}))
}
