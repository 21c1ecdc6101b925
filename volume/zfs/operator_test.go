package zfs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestAdopt takes over a dataset with its content and its snapshots, in no time.
func TestAdopt(t *testing.T) {
	pool := pool(t, 512)
	b := openAt(t, pool+"/drover", t.TempDir())
	at := filepath.Join(t.TempDir(), "db")
	command(t, "zfs", "create", "-o", "mountpoint="+at, "-o", "recordsize=8K", "-o", "refquota=100M", pool+"/db")
	if err := os.WriteFile(filepath.Join(at, "file"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "zfs", "snapshot", pool+"/db@before")
	id, o := cluster.VolumeID(cluster.NewUUID()), volume.Options{Labels: volume.Labels{Name: "pgdata"}}
	p := &pair{t: t, id: id, a: b}
	refused := func(why, name string) {
		t.Helper()
		err := b.Adopt(t.Context(), id, o, name)
		p.want(err, cluster.ErrRefused)
		if !strings.Contains(err.Error(), why) {
			t.Errorf("%q does not say %q", err, why)
		}
	}
	refused("not in pool", "other/db")
	refused("Drover's own", pool+"/drover")
	refused("refquota=", pool+"/db")
	o.MaximumSize = 100 << 20
	command(t, "zfs", "create", "-o", "mountpoint=none", pool+"/db/child")
	refused("below it", pool+"/db")
	command(t, "zfs", "destroy", pool+"/db/child")
	f, err := os.OpenFile(filepath.Join(at, "file"), os.O_RDWR, 0)
	p.must(err)
	refused(fmt.Sprintf("process %d", os.Getpid()), pool+"/db")
	f.Close()
	p.want(b.Adopt(t.Context(), id, o, pool+"/nothing"), cluster.ErrNotFound)
	p.want(b.Adopt(t.Context(), id, o, pool+"/db@before"), cluster.ErrInvalid)

	p.must(b.Adopt(t.Context(), id, o, pool+"/db"))
	p.want(b.Adopt(t.Context(), id, o, pool+"/db"), cluster.ErrExists)
	if c := p.copy(b); c.Open || c.Role != cluster.Primary || c.MaximumSize != 100<<20 || len(c.Snapshots) != 0 {
		t.Errorf("an adopted copy is %+v", c)
	}
	p.open(b, 1, "")
	if got, err := os.ReadFile(filepath.Join(b.Path(id), "file")); err != nil || string(got) != "mine" {
		t.Errorf("the content is %q, %v", got, err)
	}
	if property(t, pool+"/drover/pgdata", "recordsize") != "8192" {
		t.Error("a property of the dataset is lost")
	}
	command(t, "zfs", "list", pool+"/drover/pgdata@before")
}

// TestWhatDroverSetsIsNotForUsers.
func TestWhatDroverSetsIsNotForUsers(t *testing.T) {
	b := place(t, pool(t, 256))
	for name, settings := range map[string]map[string]string{"its own": {"mountpoint": "/etc"}, "a user property of its own": {"drover:epoch": "7"},
		"unknown": {"no-such-property": "1"}, "a bad value": {"recordsize": "17"}} {
		if err := b.Create(t.Context(), cluster.VolumeID(cluster.NewUUID()), volume.Options{Settings: settings}); err == nil || !strings.Contains(err.Error(), "invalid") {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	if copies, err := b.Copies(t.Context()); err != nil || len(copies) != 0 {
		t.Errorf("left behind: %v, %v", copies, err)
	}
}

// TestLabels: `zfs list` reads as people speak.
func TestLabels(t *testing.T) {
	pool := pool(t, 256)
	b := place(t, pool)
	p := &pair{t: t, id: cluster.VolumeID(cluster.NewUUID()), a: b}
	p.must(b.Create(t.Context(), p.id, volume.Options{}))
	p.open(b, 1, "")
	p.write(b, "file", []byte("one"))
	f, err := os.OpenFile(filepath.Join(b.Path(p.id), "file"), os.O_RDWR, 0) // it is in use all the while
	p.must(err)
	defer f.Close()
	p.must(b.Label(t.Context(), p.id, volume.Labels{Name: "pgdata", Application: "db"}))
	if got := property(t, b.root+"/pgdata", "drover:application"); got != "db" {
		t.Errorf("drover:application is %q", got)
	}
	if _, err := f.WriteAt([]byte("two"), 0); err != nil {
		t.Error(err)
	}
	command(t, "zfs", "create", "-o", "mountpoint=none", b.root+"/taken")
	p.must(b.Label(t.Context(), p.id, volume.Labels{Name: "taken"}))
	if c := p.copy(b); c.Labels.Name != "taken" || !c.Open {
		t.Errorf("the copy is %+v", c)
	}
	command(t, "zfs", "list", b.root+"/taken-"+string(p.id[:8]))
}

// TestBusy: whoever is in the way is named.
func TestBusy(t *testing.T) {
	p := newPair(t, volume.Options{})
	f, err := os.Create(filepath.Join(p.a.Path(p.id), "file"))
	p.must(err)
	err = p.a.Close(t.Context(), p.id)
	p.want(err, cluster.ErrConflict)
	if !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("%q does not say by whom", err)
	}
	f.Close()
	p.must(p.a.Close(t.Context(), p.id))
	p.snapshot(p.a, "s1")
	command(t, "zfs", "hold", "backup", p.a.datasetOf(t, p.id)+"@s1")
	if err = p.a.Drop(t.Context(), p.id, "s1"); err == nil || !strings.Contains(err.Error(), "backup") {
		t.Errorf("%v does not say who holds it", err)
	}
	if c := p.copy(p.a); len(c.Snapshots) != 1 {
		t.Errorf("the copy is %+v", c)
	}
}

func (b *Backend) datasetOf(t *testing.T, id cluster.VolumeID) string {
	t.Helper()
	d, err := b.find(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d.name
}

// TestWhatTheLogHolds: writes that were acknowledged before the power failed are in the log of the
// pool alone, and come into the last round of a move.
func TestWhatTheLogHolds(t *testing.T) {
	p := newPair(t, volume.Options{})
	pool := p.a.pool()
	acknowledge := func(name string) {
		f, err := os.Create(filepath.Join(p.a.Path(p.id), name))
		p.must(err)
		_, err = f.WriteString("yes")
		p.must(err)
		p.must(f.Sync())
		p.must(f.Close())
	}
	acknowledge("before") // it makes the log, too
	command(t, "zpool", "sync", pool)
	command(t, "zpool", "freeze", pool) // from now on only the log is written, as if the power were to fail
	acknowledge("in the log")
	p.must(unix.Unmount(p.a.Path(p.id), 0))
	disk := strings.Fields(command(t, "zpool", "list", "-vHP", pool))
	dir := filepath.Dir(disk[11])
	command(t, "zpool", "export", pool)
	command(t, "zpool", "import", "-d", dir, pool)
	p.a.changed()
	if c := p.copy(p.a); c.Open || !c.Unclosed || c.Head != "" {
		t.Errorf("after the power failed the copy is %+v", c)
	}
	p.must(p.a.Close(t.Context(), p.id))
	p.ship("", "s1")
	files, err := readFiles(t, p.b, p.id)
	if p.must(err); files["in the log"] != "yes" {
		t.Errorf("the last round has %v", files)
	}
}

// TestALogIsNoChange: after the power failed the pool counts the log of a dataset that was closed as
// written. The copy is at its last snapshot all the same, and a real change is still found.
func TestALogIsNoChange(t *testing.T) {
	dir := t.TempDir()
	pool := poolIn(t, dir, 256)
	b := place(t, pool)
	p := &pair{t: t, id: cluster.VolumeID(cluster.NewUUID()), a: b, b: place(t, pool)}
	p.must(b.Create(t.Context(), p.id, volume.Options{}))
	p.open(b, 1, "")
	p.snapshot(b, "s1")
	for n := range 3 {
		f, err := os.Create(filepath.Join(b.Path(p.id), fmt.Sprint("file", n)))
		p.must(err)
		_, err = f.Write(random(36 << 10))
		p.must(err)
		p.must(f.Sync())
		p.must(f.Close())
	}
	p.must(b.Close(t.Context(), p.id))
	final := p.snapshot(b, "s2")
	command(t, "zpool", "sync", pool)
	disk := filepath.Join(dir, "disk")
	command(t, "cp", disk, disk+".then") // as it is when the power fails
	command(t, "zpool", "destroy", "-f", pool)
	p.must(os.Rename(disk+".then", disk))
	command(t, "zpool", "import", "-f", "-d", dir, pool)
	b.changed()
	t.Logf("the pool counts %s bytes as written", property(t, b.datasetOf(t, p.id), "written"))
	if c := p.copy(b); c.Head != final.GUID {
		t.Errorf("the copy is %+v", c)
	}
	p.must(b.Demote(t.Context(), p.id, 2))
	p.open(b, 3, final.GUID)
	p.write(b, "more", []byte("x"))
	p.must(b.Close(t.Context(), p.id))
	if c := p.copy(b); c.Head != "" {
		t.Errorf("after a write the copy is %+v", c)
	}
}

// TestAFullPool: what does not fit is refused, as with every backend, and costs nothing that was there.
func TestAFullPool(t *testing.T) {
	a, b := place(t, pool(t, 256)), place(t, pool(t, 80))
	p := &pair{t: t, id: cluster.VolumeID(cluster.NewUUID()), a: a, b: b}
	p.must(a.Create(t.Context(), p.id, volume.Options{}))
	p.open(a, 1, "")
	p.write(a, "file", random(16<<20))
	p.ship("", "s1")
	before := p.copy(b)
	p.write(a, "more", random(60<<20))
	p.snapshot(a, "s2")
	d, stream := p.stream("s1", "s2")
	p.want(b.Receive(t.Context(), d, bytes.NewReader(stream.Bytes())), cluster.ErrRefused)
	after := p.copy(b)
	if after.Head != before.Head || len(after.Snapshots) != 1 {
		t.Errorf("the copy was %+v, and is %+v", before, after)
	}
}

// TestASuspendedPool: its device fails under it. Everybody who asks is answered at once, and when
// the device is back nothing is lost.
func TestASuspendedPool(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=90m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	pool := poolIn(t, dir, 500)
	b := place(t, pool)
	p := &pair{t: t, id: cluster.VolumeID(cluster.NewUUID()), a: b}
	p.must(b.Create(t.Context(), p.id, volume.Options{}))
	p.open(b, 1, "")
	content := random(120 << 20)
	written := make(chan error, 1)
	go func() {
		err := os.WriteFile(filepath.Join(b.Path(p.id), "file"), content, 0o644)
		if err == nil {
			err = exec.Command("zpool", "sync", pool).Run()
		}
		written <- err
	}()
	for deadline := time.Now().Add(time.Minute); !strings.HasSuffix(poolHealth(pool), "SUSPENDED"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the pool is %q", poolHealth(pool))
		}
	}
	b.changed()
	began := time.Now()
	_, err := b.Copies(t.Context())
	p.want(err, cluster.ErrUnavailable)
	if !strings.Contains(cluster.Hint(err), "zpool clear") {
		t.Errorf("%q: the way out is %q", err, cluster.Hint(err))
	}
	p.want(b.Close(t.Context(), p.id), cluster.ErrUnavailable)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the answers took %s", took)
	}
	p.must(unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT, "size=600m"))
	command(t, "zpool", "clear", pool)
	p.must(<-written)
	if got, err := os.ReadFile(filepath.Join(b.Path(p.id), "file")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if c := p.copy(b); !c.Open {
		t.Errorf("the copy is %+v", c)
	}
}

// TestAPoolThatIsMissing: the backend waits for it, says so, and finds everything again.
func TestAPoolThatIsMissing(t *testing.T) {
	p := newPair(t, volume.Options{})
	p.must(p.a.Close(t.Context(), p.id))
	pool := p.a.pool()
	dir := filepath.Dir(strings.Fields(command(t, "zpool", "list", "-vHP", pool))[11])
	command(t, "zpool", "export", pool)
	p.a.Shut()
	again := openAt(t, p.a.root, p.a.o.Dir)
	_, err := again.Copies(t.Context())
	p.want(err, cluster.ErrUnavailable)
	if cluster.Hint(err) != "zpool import "+pool {
		t.Errorf("%q: the way out is %q", err, cluster.Hint(err))
	}
	p.want(again.Create(t.Context(), p.id, volume.Options{}), cluster.ErrUnavailable)
	command(t, "zpool", "import", "-d", dir, pool)
	if c := p.copy(again); c.Role != cluster.Primary {
		t.Errorf("the copy is %+v", c)
	}
}
