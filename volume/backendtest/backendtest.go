// Package backendtest is what every volume.Backend must pass.
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, func(t *testing.T) backendtest.Harness { ... })
//	}
//
// It tests the contract, not how a backend keeps it: what only one backend does is tested there.
package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// A Harness is one empty place for volumes.
type Harness struct {
	Backend volume.Backend
	// Write writes a file of an open volume, Read returns all files of a copy.
	Write func(id cluster.VolumeID, name, content string) error
	Read  func(id cluster.VolumeID) (map[string]string, error)
	// Reopen returns the backend over the same place, as after a crash of its process. It is nil
	// for backends that keep nothing.
	Reopen func() volume.Backend
}

// Run runs the suite. Each test gets places of its own.
func Run(t *testing.T, place func(*testing.T) Harness) {
	for _, test := range []struct {
		rule string
		run  func(*suite)
	}{
		{"create makes an empty primary copy once", (*suite).create},
		{"open refuses an older epoch", (*suite).openOldEpoch},
		{"open of a replica wants exactly the base", (*suite).openBase},
		{"close ends writing and can be repeated", (*suite).close},
		{"a snapshot of a closed copy is its head; open clears it", (*suite).head},
		{"a snapshot's name means one snapshot", (*suite).snapshotTwice},
		{"full and incremental streams carry everything", (*suite).ship},
		{"a full stream never overwrites", (*suite).neverOverwrites},
		{"a primary copy refuses a stream", (*suite).primaryRefuses},
		{"a difference wants its base", (*suite).wantsBase},
		{"a stream that is cut changes nothing that counts", (*suite).cut},
		{"a volume moves there and back", (*suite).thereAndBack},
		{"demote keeps a copy that diverged aside", (*suite).diverged},
		{"remove puts a closed copy away, not an open one", (*suite).remove},
		{"restore brings a removed primary copy of the epoch back", (*suite).restore},
		{"a limit that is set is the limit", (*suite).resize},
		{"what a kept snapshot holds outlives writes", (*suite).kept},
		{"a restart changes nothing", (*suite).restart},
		{"a setting that the backend does not know is refused", (*suite).unknownSetting},
		{"a clone has the content of a snapshot, or of now", (*suite).clone},
		{"a clone and its source have nothing to do with each other", (*suite).cloneAlone},
		{"a replica can be cloned", (*suite).cloneReplica},
		{"a clone of nothing is none", (*suite).cloneNothing},
		{"rollback goes back to a snapshot and drops the later ones", (*suite).rollback},
		{"rollback fulfils a wish once", (*suite).rollbackOnce},
		{"rollback refuses what it must not touch", (*suite).rollbackRefused},
		{"a volume that was rolled back moves on", (*suite).rollbackMoves},
		{"an unknown volume is not found", (*suite).unknown},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s := &suite{t: t, ctx: t.Context(), id: cluster.VolumeID(cluster.NewUUID()), a: place(t), b: place(t)}
			test.run(s)
		})
	}
}

// A suite is one test with two places, a and b.
type suite struct {
	t    *testing.T
	ctx  context.Context
	id   cluster.VolumeID
	a, b Harness
}

func (s *suite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) want(err, kind error) {
	s.t.Helper()
	if !errors.Is(err, kind) {
		s.t.Fatalf("got %v, want %v", err, kind)
	}
}

// trasher and resizer: every backend that there is can do both.
func (s *suite) trasher(h Harness) volume.Trasher {
	s.t.Helper()
	b, ok := volume.As[volume.Trasher](h.Backend)
	if !ok {
		s.t.Fatalf("the %s backend has no trash", h.Backend.Properties().Name)
	}
	return b
}

func (s *suite) resizer(h Harness) volume.Resizer {
	s.t.Helper()
	b, ok := volume.As[volume.Resizer](h.Backend)
	if !ok {
		s.t.Fatalf("the %s backend cannot change a limit", h.Backend.Properties().Name)
	}
	return b
}

func (s *suite) copy(h Harness) volume.Copy {
	s.t.Helper()
	c, err := volume.Find(s.ctx, h.Backend, s.id)
	s.must(err)
	return c
}

// born makes the volume on a, open, with one file.
func (s *suite) born() {
	s.t.Helper()
	s.must(s.a.Backend.Create(s.ctx, s.id, volume.Options{}))
	_, err := s.a.Backend.Open(s.ctx, s.id, 1, "")
	s.must(err)
	s.must(s.a.Write(s.id, "file", "one"))
}

// send ships a snapshot from one place to another one.
func (s *suite) send(from, to Harness, base, name cluster.SnapshotName) cluster.Snapshot {
	s.t.Helper()
	snapshot, err := from.Backend.Snapshot(s.ctx, s.id, name, false)
	s.must(err)
	var stream bytes.Buffer
	d := volume.Delta{Volume: s.id, From: base, To: name}
	s.must(from.Backend.Send(s.ctx, d, &stream))
	s.must(to.Backend.Receive(s.ctx, d, &stream))
	return snapshot
}

func (s *suite) same(h Harness, want map[string]string) {
	s.t.Helper()
	got, err := h.Read(s.id)
	s.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("content (-want +got)\n%s", diff)
	}
}

func (s *suite) create() {
	s.must(s.a.Backend.Create(s.ctx, s.id, volume.Options{MaximumSize: 1 << 20}))
	s.want(s.a.Backend.Create(s.ctx, s.id, volume.Options{}), cluster.ErrExists)
	c := s.copy(s.a)
	if c.Role != cluster.Primary || c.Epoch != 1 || c.Open || c.MaximumSize != 1<<20 {
		s.t.Errorf("a new copy is %+v", c)
	}
	s.same(s.a, map[string]string{})
}

func (s *suite) openOldEpoch() {
	s.born()
	_, err := s.a.Backend.Open(s.ctx, s.id, 5, "")
	s.must(err)
	_, err = s.a.Backend.Open(s.ctx, s.id, 4, "")
	s.want(err, cluster.ErrStale)
	path, err := s.a.Backend.Open(s.ctx, s.id, 5, "")
	s.must(err)
	if path != s.a.Backend.Path(s.id) {
		s.t.Errorf("opened at %s, promised was %s", path, s.a.Backend.Path(s.id))
	}
}

func (s *suite) openBase() {
	s.born()
	snapshot := s.send(s.a, s.b, "", "s1")
	_, err := s.b.Backend.Open(s.ctx, s.id, 2, "another")
	s.want(err, cluster.ErrConflict)
	_, err = s.b.Backend.Open(s.ctx, s.id, 2, "")
	s.want(err, cluster.ErrConflict)
	_, err = s.b.Backend.Open(s.ctx, s.id, 2, snapshot.GUID)
	s.must(err)
	if c := s.copy(s.b); c.Role != cluster.Primary || c.Epoch != 2 || !c.Open || c.Head != "" {
		s.t.Errorf("an opened replica is %+v", c)
	}
}

func (s *suite) close() {
	s.born()
	for range 2 {
		s.must(s.a.Backend.Close(s.ctx, s.id))
		if s.copy(s.a).Open {
			s.t.Error("still open")
		}
	}
}

func (s *suite) head() {
	s.born()
	_, err := s.a.Backend.Snapshot(s.ctx, s.id, "open", false)
	s.must(err)
	if s.copy(s.a).Head != "" {
		s.t.Error("a copy that can be written is at no snapshot")
	}
	s.must(s.a.Backend.Close(s.ctx, s.id))
	snapshot, err := s.a.Backend.Snapshot(s.ctx, s.id, "closed", false)
	s.must(err)
	if c := s.copy(s.a); c.Head != snapshot.GUID || len(c.Snapshots) != 2 || c.Snapshots[1].GUID != snapshot.GUID {
		s.t.Errorf("a closed copy is at %q with %v, want %q", c.Head, c.Snapshots, snapshot.GUID)
	}
	_, err = s.a.Backend.Open(s.ctx, s.id, 1, "")
	s.must(err)
	if s.copy(s.a).Head != "" {
		s.t.Error("open left the head")
	}
}

func (s *suite) snapshotTwice() {
	s.born()
	one, err := s.a.Backend.Snapshot(s.ctx, s.id, "s", false)
	s.must(err)
	two, err := s.a.Backend.Snapshot(s.ctx, s.id, "s", false)
	s.must(err)
	if one.GUID != two.GUID || one.GUID == "" {
		s.t.Errorf("GUIDs %q and %q", one.GUID, two.GUID)
	}
	s.must(s.a.Backend.Drop(s.ctx, s.id, "s"))
	s.must(s.a.Backend.Drop(s.ctx, s.id, "s"))
	if len(s.copy(s.a).Snapshots) != 0 {
		s.t.Error("drop left the snapshot")
	}
}

func (s *suite) ship() {
	s.born()
	large := strings.Repeat("0123456789abcdef", 1<<14)
	s.must(s.a.Write(s.id, "large", large))
	s.must(s.a.Write(s.id, "stays", "as it is"))
	first := s.send(s.a, s.b, "", "s1")
	s.same(s.b, map[string]string{"file": "one", "large": large, "stays": "as it is"})
	changed := large[:100_000] + "X" + large[100_001:]
	s.must(s.a.Write(s.id, "large", changed))
	s.must(s.a.Write(s.id, "file", ""))
	s.must(s.a.Write(s.id, "new", "two"))
	second := s.send(s.a, s.b, "s1", "s2")
	s.same(s.b, map[string]string{"file": "", "large": changed, "stays": "as it is", "new": "two"})
	c := s.copy(s.b)
	if c.Role != cluster.Replica || c.Head != second.GUID || c.Open {
		s.t.Errorf("a received copy is %+v", c)
	}
	if common, ok := volume.Common(s.copy(s.a).Snapshots, c.Snapshots); !ok || common.GUID != second.GUID || common.GUID == first.GUID {
		s.t.Errorf("common snapshot %+v, want %+v", common, second)
	}
}

func (s *suite) neverOverwrites() {
	s.born()
	s.send(s.a, s.b, "", "s1")
	s.must(s.a.Write(s.id, "file", "two"))
	s.send(s.a, s.b, "", "s2")
	s.same(s.b, map[string]string{"file": "two"})
	if n := len(s.copy(s.b).Snapshots); n != 1 {
		s.t.Errorf("the new copy has %d snapshots: the old one was written over", n)
	}
	s.aside(s.b, "replaced")
}

// aside checks that the backend tells of what was set aside, once, and returns where that is.
func (s *suite) aside(h Harness, why string) (path string) {
	s.t.Helper()
	all, err := s.trasher(h).Aside(s.ctx)
	s.must(err)
	if len(all) != 1 || all[0].Volume != s.id || all[0].Why != why || time.Since(all[0].At).Abs() > time.Hour || all[0].Path == "" {
		s.t.Fatalf("set aside is %+v, want one copy that is %s", all, why)
	}
	return all[0].Path
}

func (s *suite) primaryRefuses() {
	s.born()
	_, err := s.a.Backend.Snapshot(s.ctx, s.id, "s1", false)
	s.must(err)
	var stream bytes.Buffer
	d := volume.Delta{Volume: s.id, To: "s1"}
	s.must(s.a.Backend.Send(s.ctx, d, &stream))
	s.must(s.b.Backend.Create(s.ctx, s.id, volume.Options{}))
	s.want(s.b.Backend.Receive(s.ctx, d, &stream), cluster.ErrConflict)
	s.same(s.b, map[string]string{})
}

func (s *suite) wantsBase() {
	s.born()
	s.send(s.a, s.b, "", "s1")
	s.must(s.a.Write(s.id, "file", "two"))
	s.send(s.a, s.b, "s1", "s2")
	var stream bytes.Buffer
	_, err := s.a.Backend.Snapshot(s.ctx, s.id, "s3", false)
	s.must(err)
	s.must(s.a.Backend.Send(s.ctx, volume.Delta{Volume: s.id, From: "s1", To: "s3"}, &stream))
	err = s.b.Backend.Receive(s.ctx, volume.Delta{Volume: s.id, From: "s1", To: "s3"}, &stream)
	if s.b.Backend.Properties().AnyBase {
		s.must(err)
		if c := s.copy(s.b); c.Head != c.Snapshots[len(c.Snapshots)-1].GUID || len(c.Snapshots) != 3 {
			s.t.Errorf("after a difference to an older snapshot the copy is %+v", c)
		}
	} else {
		s.want(err, cluster.ErrStale)
	}
	s.same(s.b, map[string]string{"file": "two"})
	s.must(s.b.Backend.Drop(s.ctx, s.id, "s1"))
	stream.Reset()
	s.must(s.a.Backend.Send(s.ctx, volume.Delta{Volume: s.id, From: "s1", To: "s3"}, &stream))
	s.want(s.b.Backend.Receive(s.ctx, volume.Delta{Volume: s.id, From: "s1", To: "s3"}, &stream), cluster.ErrStale)
	s.same(s.b, map[string]string{"file": "two"})
}

func (s *suite) cut() {
	s.born()
	s.must(s.a.Write(s.id, "large", strings.Repeat("large", 1<<16)))
	s.send(s.a, s.b, "", "s1")
	want := map[string]string{"file": "one"}
	for n := range 9 {
		name := fmt.Sprint("file", n)
		want[name] = strings.Repeat(name, 1<<14)
		s.must(s.a.Write(s.id, name, want[name]))
	}
	s.must(s.a.Write(s.id, "large", "small"))
	want["large"] = "small"
	_, err := s.a.Backend.Snapshot(s.ctx, s.id, "s2", false)
	s.must(err)
	d := volume.Delta{Volume: s.id, From: "s1", To: "s2"}
	var stream bytes.Buffer
	s.must(s.a.Backend.Send(s.ctx, d, &stream))
	whole, sent := stream.Len(), 0
	for part := 1; part < 5; part++ {
		cut := bytes.NewReader(stream.Bytes()[:stream.Len()*part/6])
		if err := s.b.Backend.Receive(s.ctx, d, cut); err == nil {
			s.t.Fatal("a stream that was cut was taken for a whole one")
		}
		sent += stream.Len() * part / 6
		if c := s.copy(s.b); c.Partial != nil {
			if s.b.Reopen != nil && part == 2 {
				s.b.Backend = s.b.Reopen()
				c = s.copy(s.b)
			}
			d.Resume = c.Partial.Token
			if c.Partial.From != "s1" || c.Partial.To != "s2" || len(d.Resume) == 0 {
				s.t.Fatalf("the partial transfer is %s..%s with a token of %d bytes", c.Partial.From, c.Partial.To, len(d.Resume))
			}
			if c.Partial.Listed {
				d.Arrived = s.arrived()
			}
		} else if s.b.Backend.Properties().Resumable {
			s.t.Fatal("a resumable backend has nothing to go on with")
		}
		stream.Reset()
		s.must(s.a.Backend.Send(s.ctx, d, &stream))
	}
	s.must(s.b.Backend.Receive(s.ctx, d, &stream))
	s.same(s.b, want)
	if s.b.Backend.Properties().Resumable && sent > 2*whole {
		s.t.Errorf("%d bytes were sent for a stream of %d: transfers start over", sent, whole)
	}
}

// arrived fetches what b tells of a transfer that was cut, as a transport does.
func (s *suite) arrived() string {
	s.t.Helper()
	lister, ok := volume.As[volume.Lister](s.b.Backend)
	if !ok {
		s.t.Fatal("the copy is Listed, and nobody can list it")
	}
	r, err := lister.Listing(s.ctx, s.id)
	s.must(err)
	path, err := transfer.Spool(s.t.TempDir(), r)
	s.must(err)
	return path
}

func (s *suite) thereAndBack() {
	s.born()
	from, to, base := s.a, s.b, cluster.SnapshotName("")
	for epoch := cluster.Epoch(2); epoch < 6; epoch++ {
		s.must(from.Backend.Close(s.ctx, s.id))
		name := cluster.SnapshotName(fmt.Sprint("final", epoch))
		final := s.send(from, to, base, name)
		s.must(from.Backend.Demote(s.ctx, s.id, epoch))
		_, err := from.Backend.Open(s.ctx, s.id, epoch-1, "")
		s.want(err, cluster.ErrStale)
		_, err = to.Backend.Open(s.ctx, s.id, epoch, final.GUID)
		s.must(err)
		s.must(to.Write(s.id, "file", fmt.Sprint("epoch", epoch)))
		from, to, base = to, from, name
	}
	s.same(from, map[string]string{"file": "epoch5"})
}

func (s *suite) diverged() {
	s.born()
	s.send(s.a, s.b, "", "s1")
	s.must(s.a.Write(s.id, "file", "only here"))
	s.must(s.a.Backend.Close(s.ctx, s.id))
	err := s.a.Backend.Demote(s.ctx, s.id, 2)
	var diverged *volume.Diverged
	if !errors.As(err, &diverged) || diverged.KeptAs == "" || !errors.Is(err, cluster.ErrConflict) {
		s.t.Fatalf("got %v, want a *volume.Diverged", err)
	}
	_, err = volume.Find(s.ctx, s.a.Backend, s.id)
	s.want(err, cluster.ErrNotFound)
	if path := s.aside(s.a, "diverged"); path != diverged.KeptAs {
		s.t.Errorf("it is kept as %s, and told of at %s", diverged.KeptAs, path)
	}
	s.must(s.trasher(s.a).Purge(s.ctx, time.Now().Add(time.Hour)))
	if left, err := s.trasher(s.a).Aside(s.ctx); err != nil || len(left) != 0 {
		s.t.Errorf("after a purge %+v, %v is set aside", left, err)
	}
}

func (s *suite) remove() {
	s.born()
	s.want(s.a.Backend.Remove(s.ctx, s.id), cluster.ErrConflict)
	s.must(s.a.Backend.Close(s.ctx, s.id))
	s.must(s.a.Backend.Remove(s.ctx, s.id))
	s.must(s.a.Backend.Remove(s.ctx, s.id))
	_, err := volume.Find(s.ctx, s.a.Backend, s.id)
	s.want(err, cluster.ErrNotFound)
	s.must(s.trasher(s.a).Purge(s.ctx, time.Now().Add(-time.Hour)))
	s.must(s.trasher(s.a).Purge(s.ctx, time.Now().Add(time.Hour)))
}

func (s *suite) restore() {
	s.born()
	s.want(s.trasher(s.a).Restore(s.ctx, s.id, 1), cluster.ErrExists)
	s.must(s.a.Backend.Close(s.ctx, s.id))
	s.must(s.a.Backend.Remove(s.ctx, s.id))
	trash, err := s.trasher(s.a).Trash(s.ctx)
	s.must(err)
	if len(trash) != 1 || trash[0].Volume != s.id || trash[0].Role != cluster.Primary || trash[0].Epoch != 1 {
		s.t.Errorf("the trash holds %+v", trash)
	}
	s.want(s.trasher(s.a).Restore(s.ctx, s.id, 2), cluster.ErrNotFound)
	if s.a.Reopen != nil {
		s.a.Backend = s.a.Reopen()
	}
	s.must(s.trasher(s.a).Restore(s.ctx, s.id, 1))
	if c := s.copy(s.a); c.Role != cluster.Primary || c.Epoch != 1 || c.Open {
		s.t.Errorf("a restored copy is %+v", c)
	}
	s.same(s.a, map[string]string{"file": "one"})
	trash, err = s.trasher(s.a).Trash(s.ctx)
	s.must(err)
	if len(trash) != 0 {
		s.t.Errorf("the trash still holds %+v", trash)
	}
	_, err = s.a.Backend.Open(s.ctx, s.id, 1, "")
	s.must(err)
	s.must(s.a.Backend.Close(s.ctx, s.id))
	s.must(s.a.Backend.Remove(s.ctx, s.id))
	s.must(s.trasher(s.a).Purge(s.ctx, time.Now().Add(time.Hour)))
	s.want(s.trasher(s.a).Restore(s.ctx, s.id, 1), cluster.ErrNotFound)
}

func (s *suite) resize() {
	s.born()
	for _, limit := range []int64{1 << 20, 2 << 20, 0} {
		s.must(s.resizer(s.a).Resize(s.ctx, s.id, limit))
		if got := s.copy(s.a).MaximumSize; got != limit {
			s.t.Errorf("the limit is %d, want %d", got, limit)
		}
	}
	s.want(s.resizer(s.a).Resize(s.ctx, "unknown", 1), cluster.ErrNotFound)
}

func (s *suite) kept() {
	s.born()
	_, err := s.a.Backend.Snapshot(s.ctx, s.id, "kept", true)
	s.must(err)
	s.must(s.a.Write(s.id, "file", "two"))
	var stream bytes.Buffer
	d := volume.Delta{Volume: s.id, To: "kept"}
	s.must(s.a.Backend.Send(s.ctx, d, &stream))
	s.must(s.b.Backend.Receive(s.ctx, d, &stream))
	s.same(s.b, map[string]string{"file": "one"})
	s.same(s.a, map[string]string{"file": "two"})
}

func (s *suite) restart() {
	if s.a.Reopen == nil {
		return // it keeps nothing, and says so
	}
	s.born()
	_, err := s.a.Backend.Snapshot(s.ctx, s.id, "s1", false)
	s.must(err)
	before := s.copy(s.a)
	s.a.Backend = s.a.Reopen()
	after := s.copy(s.a)
	before.UsedBytes, after.UsedBytes = 0, 0 // found out anew
	if diff := cmp.Diff(before, after); diff != "" {
		s.t.Errorf("(-before +after)\n%s", diff)
	}
	s.same(s.a, map[string]string{"file": "one"})
}

func (s *suite) unknownSetting() {
	err := s.a.Backend.Create(s.ctx, s.id, volume.Options{Settings: map[string]string{"no-such": "1"}})
	s.want(err, cluster.ErrInvalid)
	if !strings.Contains(err.Error(), "no-such") {
		s.t.Errorf("%v does not name the setting", err)
	}
	_, err = volume.Find(s.ctx, s.a.Backend, s.id)
	s.want(err, cluster.ErrNotFound)
}

func (s *suite) unknown() {
	_, err := s.a.Backend.Open(s.ctx, s.id, 1, "")
	s.want(err, cluster.ErrNotFound)
	s.want(s.a.Backend.Send(s.ctx, volume.Delta{Volume: s.id, To: "s"}, &bytes.Buffer{}), cluster.ErrNotFound)
	copies, err := s.a.Backend.Copies(s.ctx)
	s.must(err)
	if len(copies) != 0 {
		s.t.Errorf("copies of nothing: %v", copies)
	}
}
