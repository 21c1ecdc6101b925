package zfs

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A pair is two nodes with a volume on the first, which is open.
type pair struct {
	t    *testing.T
	id   cluster.VolumeID
	a, b *Backend
}

func newPair(t *testing.T, o volume.Options) *pair {
	t.Helper()
	pool := pool(t, 1<<10)
	p := &pair{t: t, id: cluster.VolumeID(cluster.NewUUID()), a: place(t, pool), b: place(t, pool)}
	p.must(p.a.Create(t.Context(), p.id, o))
	p.open(p.a, 1, "")
	return p
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) want(err, kind error) {
	p.t.Helper()
	if !errors.Is(err, kind) {
		p.t.Fatalf("got %v, want %v", err, kind)
	}
}

func (p *pair) open(b *Backend, epoch cluster.Epoch, base string) {
	p.t.Helper()
	_, err := b.Open(p.t.Context(), p.id, epoch, base)
	p.must(err)
}

func (p *pair) write(b *Backend, name string, content []byte) {
	p.t.Helper()
	p.must(os.WriteFile(filepath.Join(b.Path(p.id), name), content, 0o644))
}

func (p *pair) snapshot(b *Backend, name cluster.SnapshotName) cluster.Snapshot {
	p.t.Helper()
	s, err := b.Snapshot(p.t.Context(), p.id, name, false)
	p.must(err)
	return s
}

// stream returns that of a delta from a to b.
func (p *pair) stream(from, to cluster.SnapshotName) (volume.Delta, *bytes.Buffer) {
	p.t.Helper()
	d, stream := volume.Delta{Volume: p.id, From: from, To: to, Labels: volume.Labels{Name: "pgdata"}}, &bytes.Buffer{}
	p.must(p.a.Send(p.t.Context(), d, stream))
	return d, stream
}

// ship makes a snapshot on a and ships it to b.
func (p *pair) ship(from, to cluster.SnapshotName) cluster.Snapshot {
	p.t.Helper()
	s := p.snapshot(p.a, to)
	d, stream := p.stream(from, to)
	p.must(p.b.Receive(p.t.Context(), d, stream))
	return s
}

func (p *pair) copy(b *Backend) volume.Copy {
	p.t.Helper()
	c, err := volume.Find(p.t.Context(), b, p.id)
	p.must(err)
	return c
}

// move hands the volume over to b after a last round.
func (p *pair) move(from, to cluster.SnapshotName) {
	p.t.Helper()
	p.must(p.a.Close(p.t.Context(), p.id))
	final := p.ship(from, to)
	p.must(p.a.Demote(p.t.Context(), p.id, 2))
	p.open(p.b, 2, final.GUID)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// TestPropertiesMove: a dataset is on the target what it was on the source.
func TestPropertiesMove(t *testing.T) {
	p := newPair(t, volume.Options{MaximumSize: 256 << 20, Profile: cluster.ProfileDatabase, Labels: volume.Labels{Name: "pgdata", Application: "db"},
		Settings: map[string]string{"quota": "300M", "org.example:tier": "gold", "compression": "zstd"}})
	if name := p.a.root + "/pgdata"; property(t, name, "drover:application") != "db" || property(t, name, "recordsize") != "16384" {
		t.Error("a new dataset is not what it was asked to be")
	}
	p.move("", "move-1-1-final")
	name := p.b.root + "/pgdata"
	for property_, want := range map[string]string{"recordsize": "16384", "compression": "zstd", "quota": strconv.Itoa(300 << 20), "refquota": strconv.Itoa(256 << 20),
		"org.example:tier": "gold", "atime": "off", "logbias": "latency", "readonly": "off", "canmount": "noauto", "mountpoint": p.b.Path(p.id),
		propRole: "primary", propEpoch: "2", propVolume: string(p.id), "mounted": "yes"} {
		if got := property(t, name, property_); got != want {
			t.Errorf("%s is %s on the target, want %s", property_, got, want)
		}
	}
	if property(t, p.a.root+"/pgdata", "readonly") != "on" || property(t, p.a.root+"/pgdata", "mounted") != "no" {
		t.Error("the replica could be written")
	}
	if c := p.copy(p.b); c.MaximumSize != 256<<20 || c.Labels.Name != "pgdata" {
		t.Errorf("the copy is %+v", c)
	}
	for _, node := range []*Backend{p.a, p.b} {
		if held := command(t, "zfs", "holds", "-H", node.root+"/pgdata@move-1-1-final"); !strings.Contains(held, holdTag) {
			t.Errorf("the base is not held: %q", held)
		}
	}
}

// TestEncrypted: what is encrypted is shipped as it is, and the target needs no key to receive it.
func TestEncrypted(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, random(32), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPair(t, volume.Options{Settings: map[string]string{"encryption": "on", "keyformat": "raw", "keylocation": "file://" + key}})
	secret := []byte(strings.Repeat("a secret that must not be seen ", 1000))
	p.write(p.a, "file", secret)
	p.snapshot(p.a, "s1")
	d, stream := p.stream("", "s1")
	if bytes.Contains(stream.Bytes(), secret[:31]) {
		t.Error("the stream is not encrypted")
	}
	p.must(p.b.Receive(t.Context(), d, stream))
	p.must(p.a.Close(t.Context(), p.id))
	final := p.ship("s1", "s2")
	if c := p.copy(p.b); c.Head != final.GUID || !strings.Contains(c.Warning, "key") {
		t.Errorf("the copy is %+v", c)
	}
	_, err := p.b.Open(t.Context(), p.id, 2, final.GUID)
	p.want(err, cluster.ErrConflict)
	if !strings.Contains(cluster.Hint(err), "zfs load-key") {
		t.Errorf("the way out of %q is %q", err, cluster.Hint(err))
	}
	command(t, "zfs", "load-key", "-L", "file://"+key, p.b.root+"/pgdata")
	p.open(p.b, 2, final.GUID)
	if got, err := os.ReadFile(filepath.Join(p.b.Path(p.id), "file")); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestABookmarkIsABase: a snapshot that was dropped can be built on.
func TestABookmarkIsABase(t *testing.T) {
	p := newPair(t, volume.Options{})
	p.write(p.a, "large", random(8<<20))
	p.ship("", "s1")
	p.must(p.a.Drop(t.Context(), p.id, "s1"))
	c := p.copy(p.a)
	if len(c.Snapshots) != 0 || len(c.Bases) != 1 || c.Bases[0].GUID != p.copy(p.b).Head {
		t.Fatalf("after the drop the copy is %+v", c)
	}
	p.write(p.a, "small", random(1<<10))
	p.snapshot(p.a, "s2")
	d, stream := p.stream("s1", "s2")
	if stream.Len() > 1<<20 {
		t.Errorf("the difference to a bookmark has %d bytes", stream.Len())
	}
	p.must(p.b.Receive(t.Context(), d, stream))
	if c := p.copy(p.b); len(c.Snapshots) != 2 || c.Head != c.Snapshots[1].GUID {
		t.Errorf("the receiver has %+v", c)
	}
}

// TestSnapshotsOfOthers are neither listed nor dropped nor built on, and stand in nobody's way until
// they would have to go.
func TestSnapshotsOfOthers(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.ship("", "s1")
	foreign := p.a.root + "/pgdata@hourly"
	command(t, "zfs", "snapshot", foreign)
	_, err := p.a.Snapshot(t.Context(), p.id, "hourly", false)
	p.want(err, cluster.ErrConflict)
	p.must(p.a.Drop(t.Context(), p.id, "hourly"))
	p.ship("s1", "s2")
	command(t, "zfs", "list", foreign)
	p.must(p.a.Close(t.Context(), p.id))
	final := p.snapshot(p.a, "s3")
	command(t, "zfs", "snapshot", p.a.root+"/pgdata@daily")
	if c := p.copy(p.a); c.Head != final.GUID || len(c.Snapshots) != 3 {
		t.Errorf("with a snapshot of somebody else's behind its last the copy is %+v", c)
	}
	command(t, "zfs", "snapshot", p.b.root+"/pgdata@hourly")
	d, stream := p.stream("s2", "s3")
	err = p.b.Receive(t.Context(), d, stream)
	p.want(err, cluster.ErrConflict)
	if !strings.Contains(err.Error(), "@hourly") {
		t.Errorf("%q does not say what is in the way", err)
	}
	command(t, "zfs", "destroy", p.b.root+"/pgdata@hourly")
	d, stream = p.stream("s2", "s3")
	p.must(p.b.Receive(t.Context(), d, stream))
}

// TestADivergedReplicaIsKept: one that was written behind Drover's back is set aside and named.
func TestADivergedReplicaIsKept(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.ship("", "s1")
	command(t, "zfs", "set", "readonly=off", p.b.root+"/pgdata")
	command(t, "zfs", "mount", p.b.root+"/pgdata")
	p.write(p.b, "only-here", []byte("x"))
	command(t, "zfs", "unmount", p.b.root+"/pgdata")
	p.snapshot(p.a, "s2")
	d, stream := p.stream("s1", "s2")
	var diverged *volume.Diverged
	if err := p.b.Receive(t.Context(), d, stream); !errors.As(err, &diverged) || diverged.Common != "s1" {
		t.Fatalf("got %v, want a *volume.Diverged", err)
	}
	command(t, "zfs", "list", diverged.KeptAs)
	d, stream = p.stream("", "s2")
	p.must(p.b.Receive(t.Context(), d, stream))
}

// TestATokenThatIsOfNoUse: the snapshot that it was for is gone, and the transfer begins anew.
func TestATokenThatIsOfNoUse(t *testing.T) {
	p := newPair(t, volume.Options{})
	p.write(p.a, "large", random(8<<20))
	p.snapshot(p.a, "s1")
	d, stream := p.stream("", "s1")
	if err := p.b.Receive(t.Context(), d, io.LimitReader(stream, 4<<20)); err == nil {
		t.Fatal("half a stream was taken for a whole one")
	}
	c := p.copy(p.b)
	if c.Partial == nil || c.Partial.To != "s1" || c.Partial.From != "" {
		t.Fatalf("the partial transfer is %+v", c.Partial)
	}
	p.must(p.a.Drop(t.Context(), p.id, "s1"))
	d.Resume = c.Partial.Token
	p.want(p.a.Send(t.Context(), d, io.Discard), cluster.ErrStale)
	p.ship("", "s2")
	if c := p.copy(p.b); c.Partial != nil || len(c.Snapshots) != 1 {
		t.Errorf("the copy is %+v", c)
	}
}

// TestEstimate: what a round comes to is known before it is shipped.
func TestEstimate(t *testing.T) {
	p := newPair(t, volume.Options{})
	p.write(p.a, "large", random(8<<20))
	p.snapshot(p.a, "s1")
	d, stream := p.stream("", "s1")
	n, err := p.a.Estimate(t.Context(), d)
	if p.must(err); n < int64(stream.Len())*9/10 || n > int64(stream.Len())*11/10 {
		t.Errorf("estimated %d bytes, the stream has %d", n, stream.Len())
	}
}
