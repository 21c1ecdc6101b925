package btrfs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
)

// slow is memory whose second half comes when it is given, as that of a mapped file on a slow disk does.
type slow struct {
	mem  []byte
	uffd uintptr
}

func newSlow(t *testing.T, half int) *slow {
	mem, err := unix.Mmap(-1, 0, 2*half, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	for i := range half {
		mem[i] = 'n'
	}
	uffd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	api := struct{ api, features, ioctls uint64 }{api: 0xAA}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uffd, 0xc018aa3f, uintptr(unsafe.Pointer(&api))); e != 0 {
		t.Fatal("api", e)
	}
	reg := struct{ start, len, mode, ioctls uint64 }{uint64(uintptr(unsafe.Pointer(&mem[half]))), uint64(half), 1, 0}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uffd, 0xc020aa00, uintptr(unsafe.Pointer(&reg))); e != 0 {
		t.Fatal("register", e)
	}
	return &slow{mem, uffd}
}

func (s *slow) give(t *testing.T) {
	half := len(s.mem) / 2
	page, err := unix.Mmap(-1, 0, half, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	for i := range page {
		page[i] = 'n'
	}
	cp := struct {
		dst, src, len, mode uint64
		copied              int64
	}{uint64(uintptr(unsafe.Pointer(&s.mem[half]))), uint64(uintptr(unsafe.Pointer(&page[0]))), uint64(half), 0, 0}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, s.uffd, 0xc028aa03, uintptr(unsafe.Pointer(&cp))); e != 0 {
		t.Error("copy", e)
		unix.Close(int(s.uffd))
	}
}

// TestAWriteAcrossASnapshotIsShipped: the kernel stamps a file when a write begins. One snapshot has a part
// of it, the next one all of it, and both have the same stamp.
func TestAWriteAcrossASnapshotIsShipped(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	root := t.TempDir()
	plain, err := dir.Open(root, dir.Options{})
	p.must(err)
	defer plain.Shut()
	const half = 8 << 20
	p.write(p.a, "f", make([]byte, 2*half))
	last := cluster.SnapshotName("")
	look := func(name cluster.SnapshotName) {
		_, err := p.a.Snapshot(t.Context(), p.id, name, false)
		p.must(err)
		d := volume.Delta{Volume: p.id, From: last, To: name, Files: true}
		var stream bytes.Buffer
		p.must(p.a.Send(t.Context(), d, &stream))
		p.must(plain.Receive(t.Context(), d, &stream))
		last = name
	}
	look("one")
	f, err := os.OpenFile(filepath.Join(p.a.Path(p.id), "f"), os.O_WRONLY, 0)
	p.must(err)
	mem := newSlow(t, half)
	wrote := make(chan error, 1)
	go func() {
		_, err := unix.Pwrite(int(f.Fd()), mem.mem, 0)
		wrote <- err
	}()
	time.Sleep(300 * time.Millisecond) // until it waits for the second half
	snapped := make(chan struct{})
	go func() { defer close(snapped); look("two") }()
	select {
	case <-snapped:
	case <-time.After(5 * time.Second): // the snapshot waits for the write: then there is nothing to miss
	}
	mem.give(t)
	p.must(<-wrote)
	p.must(f.Close()) // acknowledged
	<-snapped
	look("final")
	got, err := os.ReadFile(filepath.Join(root, string(p.id), "data", "f"))
	p.must(err)
	if want := bytes.Repeat([]byte("n"), 2*half); !bytes.Equal(got, want) {
		t.Errorf("the target lacks a part of what was acknowledged")
	}
}
