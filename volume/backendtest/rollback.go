package backendtest

import (
	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// rollbacker returns the backend of a place if it can go back; if not the test ends.
func (s *suite) rollbacker(h Harness) volume.Rollbacker {
	r, ok := volume.As[volume.Rollbacker](h.Backend)
	if !ok {
		s.t.Skipf("the %s backend does not go back", h.Backend.Properties().Name)
	}
	return r
}

// history makes the volume on a, open, with the snapshots s1, s2 and s3 of "one", "two" and "three",
// and "four" after them.
func (s *suite) history() {
	s.t.Helper()
	s.born()
	for _, step := range []struct {
		name cluster.SnapshotName
		next string
	}{{"s1", "two"}, {"s2", "three"}, {"s3", "four"}} {
		_, err := s.a.Backend.Snapshot(s.ctx, s.id, step.name, true)
		s.must(err)
		s.must(s.a.Write(s.id, "file", step.next))
	}
	s.must(s.a.Write(s.id, "new", "five"))
}

// backAt checks that a was rolled back by a wish, and which snapshots are left.
func (s *suite) backAt(wish string, left ...cluster.SnapshotName) {
	s.t.Helper()
	c := s.copy(s.a)
	var names []cluster.SnapshotName
	for _, snapshot := range c.Snapshots {
		names = append(names, snapshot.Name)
	}
	if diff := cmp.Diff(left, names); diff != "" {
		s.t.Fatalf("snapshots (-want +got)\n%s", diff)
	}
	if c.Rollback != wish || c.Role != cluster.Primary || c.Epoch != 1 || c.Warning != "" {
		s.t.Fatalf("after wish %q the copy is %+v", wish, c)
	}
}

func (s *suite) rollback() {
	r := s.rollbacker(s.a)
	s.history()
	s.must(s.resizer(s.a).Resize(s.ctx, s.id, 1<<20))
	s.must(s.a.Backend.Close(s.ctx, s.id))
	s.must(r.Rollback(s.ctx, s.id, "s2", "w1"))
	s.backAt("w1", "s1", "s2")
	s.same(s.a, map[string]string{"file": "two"})
	if c := s.copy(s.a); c.Head != c.Snapshots[1].GUID || c.MaximumSize != 1<<20 || c.Open {
		s.t.Errorf("the copy is %+v", c)
	}
	if s.a.Reopen != nil {
		s.a.Backend = s.a.Reopen()
		s.backAt("w1", "s1", "s2")
	}
	// A name of what was dropped can be used again.
	_, err := s.a.Backend.Open(s.ctx, s.id, 1, "")
	s.must(err)
	s.must(s.a.Write(s.id, "file", "another"))
	_, err = s.a.Backend.Snapshot(s.ctx, s.id, "s3", true)
	s.must(err)
	s.must(s.a.Backend.Close(s.ctx, s.id))
	s.must(s.rollbacker(s.a).Rollback(s.ctx, s.id, "s1", "w2"))
	s.backAt("w2", "s1")
	s.same(s.a, map[string]string{"file": "one"})
	// Nothing was written since that snapshot: there is nothing that diverged.
	s.must(s.a.Backend.Demote(s.ctx, s.id, 2))
}

func (s *suite) rollbackOnce() {
	r := s.rollbacker(s.a)
	s.history()
	s.must(s.a.Backend.Close(s.ctx, s.id))
	for range 2 {
		s.must(r.Rollback(s.ctx, s.id, "s1", "w1"))
	}
	_, err := s.a.Backend.Open(s.ctx, s.id, 1, "")
	s.must(err)
	s.must(s.a.Write(s.id, "file", "later"))
	_, err = s.a.Backend.Snapshot(s.ctx, s.id, "s4", true)
	s.must(err)
	s.must(r.Rollback(s.ctx, s.id, "s1", "w1")) // though it is open
	s.must(s.a.Backend.Close(s.ctx, s.id))
	if s.a.Reopen != nil {
		s.a.Backend = s.a.Reopen()
	}
	s.must(s.rollbacker(s.a).Rollback(s.ctx, s.id, "s1", "w1"))
	s.backAt("w1", "s1", "s4")
	s.same(s.a, map[string]string{"file": "later"})
}

func (s *suite) rollbackRefused() {
	r := s.rollbacker(s.a)
	s.want(r.Rollback(s.ctx, s.id, "s1", "w1"), cluster.ErrNotFound)
	s.history()
	s.want(r.Rollback(s.ctx, s.id, "s1", "w1"), cluster.ErrConflict)
	s.must(s.a.Backend.Close(s.ctx, s.id))
	s.want(r.Rollback(s.ctx, s.id, "s0", "w1"), cluster.ErrNotFound)
	s.backAt("", "s1", "s2", "s3")
	s.same(s.a, map[string]string{"file": "four", "new": "five"})
	s.send(s.a, s.b, "", "final")
	s.want(s.rollbacker(s.b).Rollback(s.ctx, s.id, "final", "w1"), cluster.ErrConflict)
}

// rollbackMoves ships a volume after it was rolled back, to a node that holds the snapshot that it
// went back to.
func (s *suite) rollbackMoves() {
	r := s.rollbacker(s.a)
	s.born()
	s.send(s.a, s.b, "", "s1")
	s.must(s.a.Write(s.id, "file", "two"))
	s.must(s.a.Backend.Close(s.ctx, s.id))
	s.must(r.Rollback(s.ctx, s.id, "s1", "w1"))
	_, err := s.a.Backend.Open(s.ctx, s.id, 1, "")
	s.must(err)
	s.must(s.a.Write(s.id, "more", "three"))
	s.must(s.a.Backend.Close(s.ctx, s.id))
	final := s.send(s.a, s.b, "s1", "final")
	s.must(s.a.Backend.Demote(s.ctx, s.id, 2))
	_, err = s.b.Backend.Open(s.ctx, s.id, 2, final.GUID)
	s.must(err)
	s.same(s.b, map[string]string{"file": "one", "more": "three"})
}
