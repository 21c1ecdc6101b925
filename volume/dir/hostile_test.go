package dir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copydir"
)

// TestHostileStreams receives streams that want to write where they must not.
func TestHostileStreams(t *testing.T) {
	file := func(path string) entry { return entry{Path: path, Kind: kindFile, Mode: 0o644, Size: 3} }
	data := []byte("bad")
	for _, row := range []struct {
		rule  string
		write func(*streamWriter)
	}{
		{"an absolute path", func(w *streamWriter) { w.entry(file("/tmp/drover-hostile")) }},
		{"a path upwards", func(w *streamWriter) { w.entry(file("../escaped")) }},
		{"a path that is not clean", func(w *streamWriter) { w.entry(file("a/../../escaped")) }},
		{"a file below a link that leads outside", func(w *streamWriter) {
			w.entry(entry{Path: "link", Kind: kindSymlink, Target: ".."})
			w.entry(file("link/escaped"))
		}},
		{"a hard link to the outside", func(w *streamWriter) {
			w.entry(entry{Path: "link", Kind: kindHardlink, Target: "../copy.json"})
		}},
		{"a hard link through a link", func(w *streamWriter) {
			w.entry(entry{Path: "up", Kind: kindSymlink, Target: ".."})
			w.entry(entry{Path: "link", Kind: kindHardlink, Target: "up/copy.json"})
		}},
		{"a removal upwards", func(w *streamWriter) { w.frame(frameDelete, []byte("../copy.json")) }},
		{"a removal of the root", func(w *streamWriter) { w.frame(frameDelete, []byte(".")) }},
		{"a block without a file", func(w *streamWriter) { w.block(0, hashOf(data), data) }},
		{"a block behind the end", func(w *streamWriter) { w.entry(file("f")); w.block(7, hashOf(data), data) }},
		{"a block that is too short", func(w *streamWriter) { w.entry(file("f")); w.block(0, hashOf(data[:1]), data[:1]) }},
		{"a block with another hash", func(w *streamWriter) { w.entry(file("f")); w.block(0, hashOf([]byte("x")), data) }},
		{"a negative size", func(w *streamWriter) { w.entry(entry{Path: "f", Kind: kindFile, Size: -1}) }},
		{"an unknown kind", func(w *streamWriter) { w.entry(entry{Path: "f", Kind: 'x'}) }},
		{"an unknown record", func(w *streamWriter) { w.frame('?') }},
		{"another digest", func(w *streamWriter) { w.frame(frameManifest, make([]byte, len(hash{}))) }},
		{"a digest that is cut", func(w *streamWriter) { w.frame(frameManifest, []byte("short")) }},
	} {
		t.Run(row.rule, func(t *testing.T) {
			root := t.TempDir()
			b := open(t, root)
			var stream bytes.Buffer
			w, err := newStreamWriter(&stream)
			if err != nil {
				t.Fatal(err)
			}
			w.json(frameHeader, streamHeader{To: "s"})
			row.write(w)
			w.w.Flush()
			id := cluster.VolumeID(cluster.NewUUID())
			if err := b.Receive(t.Context(), volume.Delta{Volume: id, To: "s"}, &stream); err == nil {
				t.Error("it was received")
			}
			for _, path := range []string{"/tmp/drover-hostile", filepath.Join(root, "escaped"), filepath.Join(root, string(id), "escaped")} {
				if _, err := os.Lstat(path); err == nil {
					t.Errorf("%s was made", path)
				}
			}
			if _, err := os.Stat(filepath.Join(root, string(id), "copy.json")); err != nil {
				t.Errorf("the record is gone: %v", err)
			}
		})
	}
}

func TestAForeignStreamIsSaidToBeOne(t *testing.T) {
	b := open(t, t.TempDir())
	err := b.Receive(t.Context(), volume.Delta{Volume: cluster.VolumeID(cluster.NewUUID()), To: "s"}, strings.NewReader("btrfs-stream\x00 and so on"))
	if !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func FuzzStream(f *testing.F) {
	var stream bytes.Buffer
	w, _ := newStreamWriter(&stream)
	w.json(frameHeader, streamHeader{To: "s"})
	w.entry(entry{Path: "f", Kind: kindFile, Mode: 0o644, Size: 4})
	w.block(0, hashOf([]byte("data")), []byte("data"))
	w.frame(frameDelete, []byte("g"))
	w.frame(frameManifest, make([]byte, len(hash{})))
	w.w.Flush()
	f.Add(stream.Bytes())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		outside := t.TempDir()
		root := filepath.Join(outside, "root")
		if err := os.Mkdir(root, 0o700); err != nil {
			t.Fatal(err)
		}
		tree, err := openTree(root, &manifest{})
		if err != nil {
			t.Fatal(err)
		}
		defer tree.close()
		in, err := newStreamReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		_, _, _ = apply(tree, in) // most are not valid
		if entries, _ := os.ReadDir(outside); len(entries) != 1 {
			t.Fatalf("something was made outside: %v", entries)
		}
	})
}

func FuzzManifest(f *testing.F) {
	b, err := (&manifest{Entries: []entry{{Path: "f", Kind: kindFile, Size: 4, Blocks: []hash{{1}}}}}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeManifest(b); err == nil {
			m.digest()
		}
	})
}

// TestCrashWhileReceiving opens the backend again over a replica that a crash left half written.
func TestCrashWhileReceiving(t *testing.T) {
	p := newPair(t)
	content := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{3}).Read(content)
	p.must(os.WriteFile(filepath.Join(p.src, "file"), content, 0o600))
	p.pass()
	p.must(os.WriteFile(filepath.Join(p.src, "file"), bytes.Repeat([]byte("new"), 1<<18), 0o600))
	// A crash leaves the record in transit, some blocks written, and no list of which.
	c, err := p.to.find(p.id)
	p.must(err)
	p.must(c.Update(func(r *copydir.Record) { r.Head, r.Transit = "", &copydir.Transit{From: p.last, To: "pass2"} }))
	p.must(os.WriteFile(filepath.Join(p.dst, "file"), bytes.Repeat([]byte("new"), 1<<16), 0o600))
	p.to.Shut()
	p.to = open(t, p.toRoot)
	held, err := volume.Find(t.Context(), p.to, p.id)
	p.must(err)
	if held.Partial == nil || len(held.Partial.Token) == 0 || len(held.Snapshots) != 0 {
		t.Fatalf("after the crash the copy is %+v", held)
	}
	_, err = p.to.Open(t.Context(), p.id, 2, "whatever")
	if !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("a half-written replica was opened: %v", err)
	}
	_, err = p.from.Snapshot(t.Context(), p.id, "pass2", false)
	p.must(err)
	d := volume.Delta{Volume: p.id, From: p.last, To: "pass2", Resume: held.Partial.Token}
	var stream bytes.Buffer
	p.must(p.from.Send(t.Context(), d, &stream))
	p.must(p.to.Receive(t.Context(), d, &stream))
	p.same()
}

func TestCloseNamesWhoWrites(t *testing.T) {
	p := newPair(t)
	f, err := os.Create(filepath.Join(p.src, "file"))
	p.must(err)
	err = p.from.Close(t.Context(), p.id)
	if !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v, want an ErrConflict with this process's id", err)
	}
	p.must(f.Close())
	reader, err := os.Open(filepath.Join(p.src, "file"))
	p.must(err)
	defer reader.Close()
	p.must(p.from.Close(t.Context(), p.id)) // reading is no writing
}

func TestOneAgentPerRoot(t *testing.T) {
	root := t.TempDir()
	open(t, root)
	if _, err := Open(root, Options{}); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("a second one opened: %v", err)
	}
}

func TestMountRoot(t *testing.T) {
	mounts := filepath.Join(t.TempDir(), "flocker")
	b, err := Open(t.TempDir(), Options{MountRoot: mounts})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Shut()
	id := cluster.VolumeID(cluster.NewUUID())
	if err := b.Create(t.Context(), id, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	path, err := b.Open(t.Context(), id, 1, "")
	if err != nil || path != filepath.Join(mounts, string(id)) {
		t.Fatalf("opened at %s: %v", path, err)
	}
	if err := os.WriteFile(filepath.Join(path, "file"), nil, 0o600); err != nil {
		t.Error(err)
	}
	if err := errors.Join(b.Close(t.Context(), id), b.Remove(t.Context(), id)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link stayed: %v", err)
	}
}

// TestFullDisk fills a small file system. Only root can make one.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: a small file system can be mounted by root only")
	}
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH)
	p := newPair(t)
	p.to.Shut()
	p.to = open(t, small)
	p.toRoot, p.dst = small, filepath.Join(small, string(p.id), "data")
	content := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{4}).Read(content)
	p.must(os.WriteFile(filepath.Join(p.src, "file"), content, 0o600))
	_, err := p.from.Snapshot(t.Context(), p.id, "s", false)
	p.must(err)
	d := volume.Delta{Volume: p.id, To: "s"}
	r, w := io.Pipe()
	go func() { w.CloseWithError(p.from.Send(t.Context(), d, w)) }()
	err = p.to.Receive(t.Context(), d, r)
	r.Close()
	if !errors.Is(err, cluster.ErrRefused) {
		t.Fatalf("got %v, want ErrRefused", err)
	}
	// With more room the transfer goes on.
	if out, err := exec.Command("mount", "-o", "remount,size=16m", small).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	held, err := volume.Find(t.Context(), p.to, p.id)
	p.must(err)
	if held.Partial == nil {
		t.Fatal("nothing to go on with")
	}
	d.Resume = held.Partial.Token
	var stream bytes.Buffer
	p.must(p.from.Send(t.Context(), d, &stream))
	p.must(p.to.Receive(t.Context(), d, &stream))
	p.same()
}
