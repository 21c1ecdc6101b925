package zfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestAReplicaThatSomebodyHasTouched by hand is found out before it is opened or built on, and after
// that the next attempt goes through, without a restart.
func TestAReplicaThatSomebodyHasTouched(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	name := p.b.root + "/pgdata"
	s1 := p.ship("", "s1")
	p.write(p.a, "file", []byte("two"))
	s2 := p.ship("s1", "s2")
	p.write(p.a, "file", []byte("three"))
	p.snapshot(p.a, "s3")
	try := func(from, to cluster.SnapshotName) error {
		d, stream := p.stream(from, to)
		return p.b.Receive(t.Context(), d, stream)
	}
	opens := func(base string) error {
		_, err := p.b.Open(t.Context(), p.id, 2, base)
		return err
	}
	byHand := func(args ...string) {
		t.Helper()
		for snapshot := range strings.FieldsSeq(command(t, "zfs", "list", "-Ho", "name", "-t", "snapshot", "-r", p.b.root)) {
			p.must(release(t.Context(), snapshot)) // as somebody does whom it says no to
		}
		command(t, "zfs", args...)
	}

	byHand("rollback", "-r", name+"@s1")
	p.want(opens(s2.GUID), cluster.ErrConflict)
	p.want(try("s2", "s3"), cluster.ErrStale)
	if c := p.copy(p.b); c.Head != s1.GUID {
		t.Errorf("after a rollback the copy is %+v", c)
	}
	p.must(try("s1", "s3"))

	byHand("destroy", "-r", name)
	p.want(opens(s2.GUID), cluster.ErrNotFound)
	p.want(try("s2", "s3"), cluster.ErrStale)
	p.must(try("", "s2"))

	byHand("set", "readonly=off", name)
	byHand("mount", name)
	p.write(p.b, "by hand", []byte("x"))
	byHand("unmount", name)
	byHand("destroy", "-r", p.b.trash())
	p.b.changed()
	p.want(opens(s2.GUID), cluster.ErrConflict)
	var diverged *volume.Diverged
	if err := try("s2", "s3"); !errors.As(err, &diverged) {
		t.Fatalf("got %v, want a *volume.Diverged", err)
	}
	command(t, "zfs", "list", diverged.KeptAs)
	p.must(try("", "s2"))

	byHand("inherit", propVolume, name)
	p.b.changed()
	p.want(opens(s2.GUID), cluster.ErrNotFound)
	p.must(try("", "s2"))
	byHand("destroy", "-r", p.b.root)
	p.b.changed()
	if copies, err := p.b.Copies(t.Context()); err != nil || len(copies) != 0 {
		t.Errorf("after all was destroyed there is %+v, %v", copies, err)
	}
	p.must(try("", "s2"))
	p.must(try("s2", "s3"))
	p.must(opens(p.copy(p.b).Head))
}

// TestWhatAVolumeIsCalled makes no dataset outside of Drover's own, and nobody's listing unreadable.
func TestWhatAVolumeIsCalled(t *testing.T) {
	pool := pool(t, 256)
	b := place(t, pool)
	before := command(t, "zfs", "list", "-Ho", "name")
	var ids []cluster.VolumeID
	for _, name := range []string{"../home", "a@b", "a#b", "a b", "", "x\ty\nz", strings.Repeat("n", 5000), "drover:trash"} {
		id := cluster.VolumeID(cluster.NewUUID())
		ids = append(ids, id)
		if err := b.Create(t.Context(), id, volume.Options{Labels: volume.Labels{Name: name, Application: cluster.AppName(name)}}); err != nil {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	p := &pair{t: t, a: b}
	p.want(b.Create(t.Context(), "../../home", volume.Options{}), cluster.ErrInvalid)
	p.want(b.Create(t.Context(), cluster.VolumeID(cluster.NewUUID()), volume.Options{Settings: map[string]string{"mountpoint=/etc #": "x"}}), cluster.ErrInvalid)
	p.want(b.Create(t.Context(), cluster.VolumeID(cluster.NewUUID()), volume.Options{Settings: map[string]string{"rdonly": "on"}}), cluster.ErrInvalid)
	p.want(b.Receive(t.Context(), volume.Delta{Volume: "../../home", To: "s"}, bytes.NewReader(nil)), cluster.ErrInvalid)
	p.want(b.Receive(t.Context(), volume.Delta{Volume: ids[0], To: "s@x"}, bytes.NewReader(nil)), cluster.ErrInvalid)
	for _, name := range []cluster.SnapshotName{"", "a b", "a@b", "../x", "a,b", "a%b", cluster.SnapshotName(strings.Repeat("n", 5000))} {
		_, err := b.Snapshot(t.Context(), ids[0], name, true)
		p.want(err, cluster.ErrInvalid)
	}
	p.must(b.Label(t.Context(), ids[0], volume.Labels{Name: "../etc"}))
	p.must(b.Label(t.Context(), ids[0], volume.Labels{Name: "plain"}))
	copies, err := b.Copies(t.Context())
	if p.must(err); len(copies) != len(ids) {
		t.Errorf("there are %d copies of %d", len(copies), len(ids))
	}
	for line := range strings.Lines(command(t, "zfs", "list", "-Ho", "name")) {
		line = strings.TrimSpace(line)
		if !strings.Contains("\n"+before+"\n", "\n"+line+"\n") && !strings.HasPrefix(line, b.root+"/") {
			t.Errorf("%q was made", line)
		}
	}
	if property(t, b.root+"/plain", propVolume) != string(ids[0]) {
		t.Error("a plain name was not taken")
	}
}

// TestUsedIsWhatIsAllocated: holes cost nothing, in what a volume says it uses and in the space there is.
func TestUsedIsWhatIsAllocated(t *testing.T) {
	p := newPair(t, volume.Options{})
	f, err := os.Create(filepath.Join(p.a.Path(p.id), "sparse"))
	p.must(err)
	p.must(f.Truncate(64 << 30))
	_, err = f.Write(random(1 << 20))
	p.must(err)
	p.must(f.Sync())
	p.must(f.Close())
	command(t, "zpool", "sync", p.a.pool())
	p.a.changed()
	if used := p.copy(p.a).UsedBytes; used < 1<<20 || used > 3<<20 {
		t.Errorf("1 MiB in 64 GiB of nothing uses %d bytes", used)
	}
	if s, err := p.a.Space(t.Context()); err != nil || s.Free <= 0 || s.Total > 1<<30 || s.Free > s.Total {
		t.Errorf("the space is %+v, %v", s, err)
	}
}
