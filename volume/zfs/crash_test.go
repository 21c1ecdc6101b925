package zfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestAnArrivalWithoutAMark: whoever received a round died before it was marked and held. It counts all
// the same, and the next round, which builds on it, marks it.
func TestAnArrivalWithoutAMark(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.ship("", "s1")
	p.write(p.a, "more", random(1<<10))
	s2 := p.ship("s1", "s2")
	full := p.b.root + "/pgdata@s2"
	command(t, "zfs", "inherit", propSnapshot, full)
	command(t, "zfs", "release", holdTag, full)
	p.b.changed()
	if c := p.copy(p.b); c.Head != s2.GUID || len(c.Snapshots) != 2 {
		t.Errorf("the copy is %+v", c)
	}
	p.ship("s2", "s3")
	if mark, held := property(t, full, propSnapshot), command(t, "zfs", "holds", "-H", full); mark != forTransfer || !strings.Contains(held, holdTag) {
		t.Errorf("it is marked %q and held by %q", mark, held)
	}
}

// TestWhatASenderSays of a copy in properties of its own is not believed.
func TestWhatASenderSays(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.must(p.b.Create(t.Context(), cluster.VolumeID(cluster.NewUUID()), volume.Options{Labels: volume.Labels{Name: "victim"}}))
	victim := p.b.root + "/victim"
	forged := "x\tlocal\n" + victim + "\tdrover:trash\tremoved\tlocal\n" + victim + "\tdrover:since\t2000-01-01T00:00:00Z"
	for _, property := range []string{propRollback, propTrash, propSince, propOwner} {
		command(t, "zfs", "set", property+"="+forged, p.a.root+"/pgdata")
	}
	command(t, "zfs", "snapshot", "-o", propSnapshot+"="+forged, p.a.root+"/pgdata@s1")
	command(t, "sh", "-c", "zfs send -p "+p.a.root+"/pgdata@s1 > "+filepath.Join(p.a.o.Dir, "stream"))
	stream, err := os.Open(filepath.Join(p.a.o.Dir, "stream"))
	p.must(err)
	defer stream.Close()
	p.must(p.b.Receive(t.Context(), volume.Delta{Volume: p.id, To: "s1", Labels: volume.Labels{Name: "pgdata"}}, stream))
	p.b.changed()
	copies, err := p.b.Copies(t.Context())
	if p.must(err); len(copies) != 2 {
		t.Errorf("the copies are %+v", copies)
	}
	if c := p.copy(p.b); c.Rollback != "" || len(c.Snapshots) != 1 || c.Snapshots[0].Kept {
		t.Errorf("the copy is %+v", c)
	}
}

// TestMountedElsewhere: a copy that is mounted where nobody is told to look is not open, and Open puts
// that right.
func TestMountedElsewhere(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.write(p.a, "file", []byte("one"))
	other := t.TempDir()
	command(t, "zfs", "set", "mountpoint="+other, p.a.root+"/pgdata")
	t.Cleanup(func() { _ = unix.Unmount(other, 0) })
	p.a.changed()
	if c := p.copy(p.a); c.Open || !c.Unclosed {
		t.Errorf("the copy is %+v", c)
	}
	p.open(p.a, 1, "")
	if got, err := os.ReadFile(filepath.Join(p.a.Path(p.id), "file")); err != nil || string(got) != "one" {
		t.Errorf("the content is %q, %v", got, err)
	}
}

// TestARollbackThatCannotBe destroys nothing.
func TestARollbackThatCannotBe(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	for _, name := range []cluster.SnapshotName{"s1", "s2", "s3"} {
		_, err := p.a.Snapshot(t.Context(), p.id, name, true)
		p.must(err)
	}
	clone := cluster.VolumeID(cluster.NewUUID())
	p.must(p.a.Clone(t.Context(), clone, volume.Options{Labels: volume.Labels{Name: "clone"}}, p.id, "s2"))
	p.must(p.a.Close(t.Context(), p.id))
	refused := func(why string) {
		t.Helper()
		err := p.a.Rollback(t.Context(), p.id, "s1", "wish")
		p.want(err, cluster.ErrConflict)
		if !strings.Contains(err.Error(), why) || len(p.copy(p.a).Snapshots) != 3 {
			t.Errorf("%v; what is left: %+v", err, p.copy(p.a).Snapshots)
		}
	}
	refused("clone")
	p.must(p.a.Remove(t.Context(), clone))
	command(t, "zfs", "destroy", "-r", p.a.trash())
	command(t, "zfs", "create", "-o", "canmount=off", "-o", "mountpoint=none", p.a.trash())
	command(t, "zfs", "hold", "backup", p.a.root+"/pgdata@s3")
	refused("backup")
	command(t, "zfs", "release", "backup", p.a.root+"/pgdata@s3")
	p.must(p.a.Rollback(t.Context(), p.id, "s1", "wish"))
}
