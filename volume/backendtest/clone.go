package backendtest

import (
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// cloner returns the backend of a place if it can clone; if not the test ends.
func (s *suite) cloner(h Harness) volume.Cloner {
	c, ok := volume.As[volume.Cloner](h.Backend)
	if !ok {
		s.t.Skipf("the %s backend does not clone", h.Backend.Properties().Name)
	}
	return c
}

// holds checks the content of any volume.
func (s *suite) holds(h Harness, id cluster.VolumeID, want map[string]string) {
	s.t.Helper()
	got, err := h.Read(id)
	s.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("content of %s (-want +got)\n%s", id, diff)
	}
}

func newID() cluster.VolumeID { return cluster.VolumeID(cluster.NewUUID()) }

func (s *suite) clone() {
	b := s.cloner(s.a)
	s.born()
	_, err := s.a.Backend.Snapshot(s.ctx, s.id, "s1", true)
	s.must(err)
	s.must(s.a.Write(s.id, "file", "two"))
	then, now := newID(), newID()
	s.must(b.Clone(s.ctx, then, volume.Options{MaximumSize: 1 << 20}, s.id, "s1"))
	s.must(b.Clone(s.ctx, now, volume.Options{}, s.id, ""))
	s.holds(s.a, then, map[string]string{"file": "one"})
	s.holds(s.a, now, map[string]string{"file": "two"})
	c, err := volume.Find(s.ctx, s.a.Backend, then)
	s.must(err)
	if c.Role != cluster.Primary || c.Epoch != 1 || c.Open || c.MaximumSize != 1<<20 || c.Head != "" || len(c.Snapshots) != 0 {
		s.t.Errorf("a clone is %+v", c)
	}
	if !s.copy(s.a).Open {
		s.t.Error("the source was closed")
	}
	s.want(b.Clone(s.ctx, then, volume.Options{}, s.id, ""), cluster.ErrExists)
	s.holds(s.a, then, map[string]string{"file": "one"})
}

func (s *suite) cloneAlone() {
	b := s.cloner(s.a)
	s.born()
	id := newID()
	_, err := s.a.Backend.Snapshot(s.ctx, s.id, "s1", true)
	s.must(err)
	s.must(b.Clone(s.ctx, id, volume.Options{}, s.id, "s1"))
	_, err = s.a.Backend.Open(s.ctx, id, 1, "")
	s.must(err)
	s.must(s.a.Write(id, "file", "the clone's"))
	s.must(s.a.Write(s.id, "more", "the source's"))
	s.same(s.a, map[string]string{"file": "one", "more": "the source's"})
	s.holds(s.a, id, map[string]string{"file": "the clone's"})
	s.must(s.a.Backend.Close(s.ctx, s.id))
	s.must(s.a.Backend.Remove(s.ctx, s.id))
	s.must(s.trasher(s.a).Purge(s.ctx, time.Now().Add(time.Hour)))
	if s.a.Reopen != nil {
		s.a.Backend = s.a.Reopen()
	}
	s.holds(s.a, id, map[string]string{"file": "the clone's"})
	_, err = s.a.Backend.Snapshot(s.ctx, id, "s1", false)
	s.must(err)
	s.must(s.a.Backend.Close(s.ctx, id))
	s.must(s.a.Backend.Remove(s.ctx, id))
}

func (s *suite) cloneReplica() {
	b := s.cloner(s.b)
	s.born()
	s.send(s.a, s.b, "", "s1")
	s.must(s.a.Write(s.id, "file", "two"))
	s.send(s.a, s.b, "s1", "s2")
	then, now := newID(), newID()
	s.must(b.Clone(s.ctx, then, volume.Options{}, s.id, "s1"))
	s.must(b.Clone(s.ctx, now, volume.Options{}, s.id, ""))
	_, err := s.b.Backend.Open(s.ctx, now, 1, "")
	s.must(err)
	s.must(s.b.Write(now, "file", "three"))
	s.holds(s.b, then, map[string]string{"file": "one"})
	s.same(s.b, map[string]string{"file": "two"})
	s.must(s.a.Write(s.id, "file", "four"))
	s.send(s.a, s.b, "s2", "s3")
	s.same(s.b, map[string]string{"file": "four"})
}

func (s *suite) cloneNothing() {
	b := s.cloner(s.a)
	s.want(b.Clone(s.ctx, newID(), volume.Options{}, s.id, ""), cluster.ErrNotFound)
	s.born()
	s.want(b.Clone(s.ctx, newID(), volume.Options{}, s.id, "s1"), cluster.ErrNotFound)
	o := volume.Options{Settings: map[string]string{"no-such": "1"}}
	s.want(b.Clone(s.ctx, newID(), o, s.id, ""), cluster.ErrInvalid)
	copies, err := s.a.Backend.Copies(s.ctx)
	s.must(err)
	if slices.ContainsFunc(copies, func(c volume.Copy) bool { return c.Volume != s.id }) {
		s.t.Errorf("it left something: %+v", copies)
	}
}
