package ssh

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// files connects as a user and returns a client of the tree.
func files(t *testing.T, target volume.Backend) *connection {
	t.Helper()
	n := serve(t, target)
	n.client = ""
	c, err := n.transport.connect(t.Context(), n.node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close() })
	return c
}

func TestTheTree(t *testing.T) {
	b, id := memSource(t, 100)
	c := files(t, b)
	volumePath := "/volumes/" + string(id)
	for _, row := range []struct {
		dir  string
		want []string
	}{
		{"/", []string{"volumes"}},
		{"/volumes", []string{string(id)}},
		{volumePath, []string{"copy.json", "snapshots"}},
		{volumePath + "/snapshots", []string{"s1"}},
	} {
		var got []string
		entries, err := c.sftp.ReadDir(row.dir)
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if slices.Sort(got); err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%s lists %q, %v; want %q", row.dir, got, err, row.want)
		}
		if info, err := c.sftp.Stat(row.dir); err != nil || !info.IsDir() {
			t.Errorf("%s is no directory: %v, %v", row.dir, info, err)
		}
	}
	if info, err := c.sftp.Stat(volumePath + "/snapshots/s1"); err != nil || info.IsDir() || info.Name() != "s1" {
		t.Errorf("a snapshot is %v, %v", info, err)
	}
	unknown := "/volumes/" + cluster.NewUUID()
	for _, name := range []string{"/etc", unknown, unknown + "/snapshots", volumePath + "/snapshots/s1", volumePath + "/incoming"} {
		if _, err := c.sftp.ReadDir(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("list %s: got %v, want fs.ErrNotExist", name, err)
		}
	}
	for _, name := range []string{unknown + "/copy.json", volumePath + "/snapshots/s2"} {
		if _, err := c.sftp.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open %s: got %v, want fs.ErrNotExist", name, err)
		}
		if _, err := c.sftp.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat %s: got %v, want fs.ErrNotExist", name, err)
		}
	}
}

func TestTheTreeCannotBeChanged(t *testing.T) {
	b, id := memSource(t, 100)
	c := files(t, b)
	snapshot := path.Join("/volumes", string(id), "snapshots", "s1")
	for what, err := range map[string]error{
		"remove":  c.sftp.Remove(snapshot),
		"rename":  c.sftp.Rename(snapshot, snapshot+"2"),
		"mkdir":   c.sftp.Mkdir(path.Join("/volumes", cluster.NewUUID())),
		"symlink": c.sftp.Symlink("/etc/passwd", snapshot+"3"),
	} {
		if err == nil {
			t.Errorf("%s was allowed", what)
		}
	}
	if _, err := c.sftp.Create(snapshot); err == nil {
		t.Error("a snapshot could be written")
	}
}

// TestWhatCanBeRead: on a backend that ships the live files, only what is sure to be what it was.
func TestWhatCanBeRead(t *testing.T) {
	b, id := source(t, 1000)
	if _, err := b.Snapshot(t.Context(), id, "kept", true); err != nil {
		t.Fatal(err)
	}
	c := files(t, b)
	read := func(name string) error {
		f, err := c.sftp.Open(path.Join("/volumes", string(id), "snapshots", name))
		if err != nil {
			return answered(err)
		}
		defer f.Close()
		stream, err := io.ReadAll(f)
		if err == nil && len(stream) < 1000 {
			return fmt.Errorf("a stream of %d bytes", len(stream))
		}
		return err
	}
	if err := read("kept"); err != nil {
		t.Errorf("a kept snapshot: %v", err)
	}
	if err := read("s1"); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("a snapshot of a volume that is written to: got %v, want ErrRefused", err)
	}
	if err := b.Close(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Snapshot(t.Context(), id, "head", false); err != nil {
		t.Fatal(err)
	}
	if err := read("head"); err != nil {
		t.Errorf("the snapshot that a closed volume is at: %v", err)
	}
}

func TestAnErrorOfASendIsNoEnd(t *testing.T) {
	b, id := memSource(t, 100)
	c := files(t, b)
	f, err := c.sftp.Open(path.Join("/volumes", string(id), "snapshots", "gone:s1"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if stream, err := io.ReadAll(f); err == nil {
		t.Errorf("a difference to a snapshot that does not exist is %d bytes", len(stream))
	}
}
