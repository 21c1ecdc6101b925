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
	"github.com/drover/drover/volume/copystore"
)

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
	p.must(c.Update(func(r *copystore.Record) {
		r.Head, r.Transit = "", &copystore.Transit{From: p.last, To: "pass2", Token: "t"}
	}))
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
	d := volume.Delta{Volume: p.id, From: p.last, To: "pass2"}
	p.goOn(&d, held)
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
	p.goOn(&d, held)
	var stream bytes.Buffer
	p.must(p.from.Send(t.Context(), d, &stream))
	p.must(p.to.Receive(t.Context(), d, &stream))
	p.same()
}

// TestAFullTargetIsNoDeadEnd: what arrived of files that are no longer there is not in the way for ever.
func TestAFullTargetIsNoDeadEnd(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: a small file system can be mounted by root only")
	}
	for _, room := range []string{"", "14m"} { // none for a list of what has arrived, and some
		t.Run("room "+room, func(t *testing.T) {
			small := t.TempDir()
			if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=12m"); err != nil {
				t.Fatal(err)
			}
			defer unix.Unmount(small, unix.MNT_DETACH)
			p := newPair(t)
			p.to.Shut()
			p.to = open(t, small)
			p.toRoot, p.dst = small, filepath.Join(small, string(p.id), "data")
			write := func(name string, size int) {
				content := make([]byte, size)
				rand.NewChaCha8([32]byte{4}).Read(content)
				p.must(os.WriteFile(filepath.Join(p.src, name), content, 0o600))
			}
			ship := func(d volume.Delta) error {
				r, w := io.Pipe()
				go func() { w.CloseWithError(p.from.Send(t.Context(), d, w)) }()
				err := p.to.Receive(t.Context(), d, r)
				r.Close()
				return err
			}
			write("two", 14<<20)
			_, err := p.from.Snapshot(t.Context(), p.id, "s", false)
			p.must(err)
			d := volume.Delta{Volume: p.id, To: "s"}
			if err := ship(d); !errors.Is(err, cluster.ErrRefused) {
				t.Fatalf("got %v, want ErrRefused", err)
			}
			// Now it is another file, which would fit alone, and comes before what is in its way.
			p.must(os.Remove(filepath.Join(p.src, "two")))
			write("four", 5<<20)
			if room != "" {
				if out, err := exec.Command("mount", "-o", "remount,size="+room, small).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				held, err := volume.Find(t.Context(), p.to, p.id)
				p.must(err)
				again := d
				p.goOn(&again, held)
				if err := ship(again); !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), "to make room") {
					t.Fatalf("got %v, want ErrRefused, and why there is room now", err)
				}
			} else if _, err := p.to.Listing(t.Context(), p.id); !errors.Is(err, cluster.ErrStale) {
				t.Fatalf("got %v, want ErrStale", err)
			}
			p.must(ship(d))
			p.same()
			if err := p.to.Discard(t.Context(), p.id); !errors.Is(err, cluster.ErrConflict) {
				t.Errorf("a whole replica was discarded: %v", err)
			}
		})
	}
}
