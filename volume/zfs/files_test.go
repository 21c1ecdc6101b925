package zfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/transfer"
)

// plain returns a backend of another kind, on a file system of the pool that keeps everything.
func plain(t *testing.T, pool string) *dir.Backend {
	t.Helper()
	at := t.TempDir()
	name := pool + "/plain-" + cluster.NewUUID()[:8]
	command(t, "zfs", "create", "-o", "mountpoint="+at, "-o", "acltype=posixacl", "-o", "xattr=sa", name)
	b, err := dir.Open(filepath.Join(at, "volumes"), dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Shut(); command(t, "zfs", "destroy", "-f", name) })
	return b
}

// carry ships a snapshot of a volume from one backend to another one, file by file, and returns how long
// the stream was.
func (p *pair) carry(from, to volume.Backend, base, name cluster.SnapshotName) int {
	p.t.Helper()
	_, err := from.Snapshot(p.t.Context(), p.id, name, false)
	p.must(err)
	d, stream := volume.Delta{Volume: p.id, From: base, To: name, Files: true, Labels: volume.Labels{Name: "pgdata"}}, &bytes.Buffer{}
	p.must(from.Send(p.t.Context(), d, stream))
	sent := stream.Len()
	p.must(to.Receive(p.t.Context(), d, stream))
	mine, theirs := p.of(from), p.of(to)
	if common, ok := volume.Common(mine.Snapshots, theirs.Snapshots); !ok || theirs.Head != common.GUID {
		p.t.Fatalf("after %s they share %+v, and the receiver is at %q", d, common, theirs.Head)
	}
	if last := len(theirs.Snapshots) - 1; theirs.Snapshots[last].Digest == "" || theirs.Snapshots[last].Digest != mine.Snapshots[len(mine.Snapshots)-1].Digest {
		p.t.Errorf("after %s the sender has %+v and the receiver %+v", d, mine.Snapshots, theirs.Snapshots)
	}
	return sent
}

func (p *pair) of(b volume.Backend) volume.Copy {
	p.t.Helper()
	c, err := volume.Find(p.t.Context(), b, p.id)
	p.must(err)
	return c
}

// over hands the volume over, at the snapshot that was carried last.
func (p *pair) over(from, to volume.Backend, epoch cluster.Epoch) string {
	p.t.Helper()
	p.must(from.Demote(p.t.Context(), p.id, epoch))
	c := p.of(to)
	path, err := to.Open(p.t.Context(), p.id, epoch, c.Head)
	p.must(err)
	return path
}

// TestFilesThereAndBack: every kind of file goes to a backend of another kind and comes back, and what
// was not changed is not shipped again.
func TestFilesThereAndBack(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	other, ctx := plain(t, p.a.pool()), t.Context()
	everyKind(t, p.a.Path(p.id))
	p.write(p.a, "large", random(4<<20))
	want := describe(t, p.a.Path(p.id))
	if sent := p.carry(p.a, other, "", "s1"); sent < 4<<20 {
		t.Errorf("a full stream has %d bytes", sent)
	}
	p.write(p.a, "more", []byte("more"))
	want = describe(t, p.a.Path(p.id))
	p.must(p.a.Close(ctx, p.id))
	if sent := p.carry(p.a, other, "s1", "s2"); sent > 1<<20 {
		t.Errorf("a difference has %d bytes", sent)
	}
	path := p.over(p.a, other, 2)
	if diff := cmp.Diff(want, describe(t, path)); diff != "" {
		t.Fatalf("what has arrived elsewhere (-want +got)\n%s", diff)
	}

	p.must(os.WriteFile(filepath.Join(path, "more"), []byte("changed there"), 0o600))
	p.must(os.Remove(filepath.Join(path, "fifo")))
	want = describe(t, path)
	p.must(other.Close(ctx, p.id))
	if sent := p.carry(other, p.a, "s2", "s3"); sent > 1<<20 {
		t.Errorf("the way back has %d bytes", sent)
	}
	path = p.over(other, p.a, 3)
	if diff := cmp.Diff(want, describe(t, path)); diff != "" {
		t.Fatalf("what has come back (-want +got)\n%s", diff)
	}
	p.write(p.a, "more", []byte("once more"))
	want = describe(t, path)
	p.must(p.a.Close(ctx, p.id))
	p.carry(p.a, other, "s3", "s4")
	if diff := cmp.Diff(want, describe(t, p.over(p.a, other, 4))); diff != "" {
		t.Fatalf("what has arrived elsewhere again (-want +got)\n%s", diff)
	}
}

// TestFlagsLeaveNoTime: ZFS sets the flags of a file and leaves its times as they are.
func TestFlagsLeaveNoTime(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	other := plain(t, p.a.pool())
	p.write(p.a, "file", []byte("content"))
	p.carry(p.a, other, "", "s1")
	p.carry(p.a, other, "s1", "s2") // the file is older than that look
	f, err := os.Open(filepath.Join(p.a.Path(p.id), "file"))
	p.must(err)
	const noDump = 0x40
	p.must(errors.Join(unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, noDump), f.Close()))
	p.must(p.a.Close(t.Context(), p.id))
	p.carry(p.a, other, "s2", "s3")
	var st unix.Statx_t
	p.must(unix.Statx(0, filepath.Join(p.over(p.a, other, 2), "file"), 0, unix.STATX_BASIC_STATS, &st))
	if st.Attributes&unix.STATX_ATTR_NODUMP == 0 {
		t.Error("the flag has not arrived")
	}
}

// TestFilesToAnEmptyPlace comes from elsewhere in full, goes on to another ZFS by its own stream, and
// is built on there only where both hold it as ZFS's own.
func TestFilesToAnEmptyPlace(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	other, ctx := plain(t, p.a.pool()), t.Context()
	everyKind(t, p.a.Path(p.id))
	want := describe(t, p.a.Path(p.id))
	p.must(p.a.Close(ctx, p.id))
	p.carry(p.a, other, "", "s1")
	p.must(p.a.Remove(ctx, p.id))
	p.carry(other, p.b, "", "s1")
	if property(t, p.b.root+"/pgdata", "readonly") != "on" || property(t, p.b.root+"/pgdata", "mounted") != "no" {
		t.Error("the replica could be written")
	}
	s1 := p.of(p.b).Head
	_, err := p.b.Open(ctx, p.id, 2, s1)
	p.must(err)
	if diff := cmp.Diff(want, describe(t, p.b.Path(p.id))); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	// To one that has nothing, as ZFS's own: they share the snapshot, by the GUID of whoever made it.
	next := &pair{t: t, id: p.id, a: p.b, b: place(t, p.a.pool())}
	d, stream := next.stream("", "s1")
	p.must(next.b.Receive(ctx, d, stream))
	if c := next.copy(next.b); c.Head != s1 {
		t.Errorf("it is at %q, want %q", c.Head, s1)
	}
	next.write(next.a, "more", []byte("x"))
	next.ship("s1", "s2")
	// One that has it from elsewhere, too, is told to ask for files.
	third := &pair{t: t, id: p.id, a: p.b, b: place(t, p.a.pool())}
	third.carry(other, third.b, "", "s1")
	d, stream = third.stream("s1", "s2")
	err = third.b.Receive(ctx, d, stream)
	if third.want(err, cluster.ErrStale); !strings.Contains(err.Error(), "file by file") {
		t.Errorf("%q does not say why", err)
	}
	third.carry(third.a, third.b, "s1", "s2")
}

// goOn makes a delta of files go on with what has arrived at b, as a transport does.
func (p *pair) goOn(d *volume.Delta) {
	p.t.Helper()
	part := p.copy(p.b).Partial
	if part == nil || part.From != d.From || part.To != d.To || len(part.Token) == 0 || !part.Listed {
		p.t.Fatalf("there is %+v to go on with", part)
	}
	d.Resume = part.Token
	listing, err := p.b.Listing(p.t.Context(), p.id)
	p.must(err)
	d.Arrived, err = transfer.Spool(p.t.TempDir(), listing)
	p.must(err)
}

// TestFilesGoOnWhereTheyWereCut, in full or as a difference, also when whoever received them dies.
func TestFilesGoOnWhereTheyWereCut(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	ctx, killed := t.Context(), false
	ship := func(d volume.Delta) {
		t.Helper()
		whole, shipped := 0, 0
		for n := 0; ; n++ {
			var stream bytes.Buffer
			p.must(p.a.Send(ctx, d, &stream))
			whole = max(whole, stream.Len())
			cut := min(stream.Len(), whole*2/5)
			shipped += cut
			if p.b.Receive(ctx, d, bytes.NewReader(stream.Bytes()[:cut])) == nil {
				break
			}
			if n > 4 {
				t.Fatal("it does not get on")
			}
			if killed {
				p.must(os.Remove(p.b.incomingListing(p.id)))
			}
			p.goOn(&d)
		}
		if shipped > whole*3/2 {
			t.Errorf("%s: %d bytes were shipped for %d", d, shipped, whole)
		}
		if left := glob(t, filepath.Join(p.b.o.Dir, "*", "*", "*ing*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	for n := range 8 {
		p.write(p.a, fmt.Sprint("file", n), random(1<<18))
	}
	p.snapshot(p.a, "s1")
	d := volume.Delta{Volume: p.id, To: "s1", Files: true, Labels: volume.Labels{Name: "pgdata"}}
	ship(d)
	for n := range 8 {
		p.write(p.a, fmt.Sprint("file", n+4), random(1<<18))
	}
	want := describe(t, p.a.Path(p.id))
	p.snapshot(p.a, "s2")
	d.From, d.To, killed = "s1", "s2", true
	ship(d)
	if _, err := p.b.Open(ctx, p.id, 2, p.copy(p.b).Head); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, describe(t, p.b.Path(p.id))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestAPartOfFilesCountsForNothing but to go on with.
func TestAPartOfFilesCountsForNothing(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	ctx := t.Context()
	p.write(p.a, "file", random(1<<20))
	p.carry(p.a, p.b, "", "s1")
	s1 := p.copy(p.b).Head
	p.write(p.a, "more", random(1<<20))
	p.snapshot(p.a, "s2")
	d, stream := volume.Delta{Volume: p.id, From: "s1", To: "s2", Files: true}, &bytes.Buffer{}
	p.must(p.a.Send(ctx, d, stream))
	whole := stream.Bytes()
	half := func() {
		t.Helper()
		if err := p.b.Receive(ctx, d, bytes.NewReader(whole[:len(whole)/2])); err == nil {
			t.Fatal("half a stream was taken for a whole one")
		}
		if c := p.copy(p.b); c.Head != s1 || len(c.Snapshots) != 1 || c.Partial == nil {
			t.Errorf("the copy is %+v", c)
		}
	}
	half()
	another := d
	another.Resume = []byte("another")
	if err := p.b.Receive(ctx, another, bytes.NewReader(whole)); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("to go on with something else: %v", err)
	}
	// As an earlier version left it when its agent was killed in the middle.
	command(t, "zfs", "set", propIncoming+"=s2", p.b.root+"/pgdata")
	p.b.changed()
	if c := p.copy(p.b); c.Head != s1 || c.Partial != nil {
		t.Errorf("the copy is %+v", c)
	}
	half()
	if _, err := p.b.Open(ctx, p.id, 2, s1); err != nil {
		t.Fatal(err)
	}
	if files, err := readFiles(t, p.b, p.id); err != nil || len(files) != 1 {
		t.Errorf("the copy has %d files, %v", len(files), err)
	}
	if c := p.copy(p.b); c.Partial != nil {
		t.Errorf("it is open, and there is %+v to go on with", c.Partial)
	}
	if left := glob(t, filepath.Join(p.b.o.Dir, "*", "*", "*ing*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestListingsAreForgotten with their snapshots.
func TestListingsAreForgotten(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.write(p.a, "file", random(1<<20))
	count := func(want int) {
		t.Helper()
		if left := glob(t, filepath.Join(p.a.listings(p.id), "*")); len(left) != want {
			t.Errorf("there are %d listings, want %d", len(left), want)
		}
	}
	for _, name := range []cluster.SnapshotName{"s1", "s2", "s3"} {
		p.snapshot(p.a, name)
		p.must(p.a.Send(t.Context(), volume.Delta{Volume: p.id, To: name, Files: true}, io.Discard))
	}
	count(3)
	p.must(p.a.Drop(t.Context(), p.id, "s1")) // a bookmark stays, which a stream of files can build on
	p.must(p.a.Send(t.Context(), volume.Delta{Volume: p.id, From: "s1", To: "s3", Files: true}, io.Discard))
	count(3)
	p.must(p.a.Close(t.Context(), p.id))
	p.must(p.a.Rollback(t.Context(), p.id, "s2", "wish"))
	count(2)
	p.must(p.a.Remove(t.Context(), p.id))
	found, _, err := p.a.discarded(t.Context())
	p.must(err)
	for _, d := range found {
		p.must(p.a.purge(t.Context(), d))
	}
	count(0)
	if _, err := os.Stat(p.a.listings(p.id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the listings is left: %v", err)
	}
}

// TestADamagedListing is made anew, and holds nothing up for good.
func TestADamagedListing(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.write(p.a, "file", random(1<<20))
	p.carry(p.a, p.b, "", "s1")
	damage := func(b *Backend) {
		t.Helper()
		for _, listing := range glob(t, filepath.Join(b.listings(p.id), "*")) {
			p.must(os.Truncate(listing, 100))
		}
	}
	damage(p.a)
	p.write(p.a, "file", []byte("two"))
	if sent := p.carry(p.a, p.b, "s1", "s2"); sent > 1<<19 {
		t.Errorf("the difference has %d bytes", sent)
	}
	damage(p.b)
	p.snapshot(p.a, "s3")
	d, stream := volume.Delta{Volume: p.id, From: "s2", To: "s3", Files: true}, &bytes.Buffer{}
	p.must(p.a.Send(t.Context(), d, stream))
	whole := stream.Bytes()
	if p.b.Receive(t.Context(), d, bytes.NewReader(whole)) != nil {
		p.must(p.b.Receive(t.Context(), d, bytes.NewReader(whole)))
	}
	if c := p.copy(p.b); len(c.Snapshots) != 3 || c.Head != c.Snapshots[2].GUID {
		t.Errorf("the copy is %+v", c)
	}
}

// TestAnUnchangedFileIsNotReadAgain: what an earlier snapshot held is known by inodes and their times,
// which ZFS keeps. One that was changed in place and given its old time again is read.
func TestAnUnchangedFileIsNotReadAgain(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.write(p.a, "large", random(8<<20))
	p.write(p.a, "touched", random(1<<20))
	was, err := os.Stat(filepath.Join(p.a.Path(p.id), "touched"))
	p.must(err)
	p.snapshot(p.a, "s0") // it takes longer than the tick of a clock
	p.carry(p.a, p.b, "", "s1")
	p.write(p.a, "touched", random(1<<20))
	p.must(os.Chtimes(filepath.Join(p.a.Path(p.id), "touched"), was.ModTime(), was.ModTime()))
	p.snapshot(p.a, "s2")
	before := bytesRead(t)
	p.must(p.a.Send(t.Context(), volume.Delta{Volume: p.id, From: "s1", To: "s2", Files: true}, io.Discard))
	if read := bytesRead(t) - before; read < 1<<20 || read > 4<<20 {
		t.Errorf("%d bytes were read for a change of 1 MiB", read)
	}
	p.carry(p.a, p.b, "s1", "s2")
	want := describe(t, p.a.Path(p.id))
	if _, err := p.b.Open(t.Context(), p.id, 2, p.copy(p.b).Head); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, describe(t, p.b.Path(p.id))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// bytesRead is how much this process has read of files.
func bytesRead(t *testing.T) (n int) {
	t.Helper()
	said, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(said), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}
