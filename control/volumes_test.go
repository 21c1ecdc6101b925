package control

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// able registers a node whose backend is zfs, with all abilities.
func (l *lab) able(id cluster.NodeID) {
	l.t.Helper()
	l.ok(l.Register(l.ctx, cluster.Node{ID: id, Name: "node-" + string(id), Address: "10.0.0." + string(id), Era: "1", Backend: "zfs",
		Capabilities: []string{cluster.AbilityAdopt, cluster.AbilityClone, cluster.AbilityRollback}}))
}

// wantRefused checks the kind of an error and what it says.
func (l *lab) wantRefused(err, kind error, words ...string) {
	l.t.Helper()
	l.wantKind(err, kind)
	if err != nil && !containsAll(err.Error()+cluster.Hint(err), words) {
		l.t.Errorf("error %q (hint %q) does not say %q", err, cluster.Hint(err), words)
	}
}

func TestCreateVolume(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.able("b")
		options := map[string]string{"zfs.recordsize": "8K"}
		v, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "log", Node: "node-b", MaximumSize: 9, Profile: "database", Options: options,
			Metadata: map[string]string{"team": "x"}})
		l.ok(err)
		if v.Volume.ID != logVolume || v.Ownership.Owner != "b" || v.Ownership.Created || v.Volume.Metadata["team"] != "x" {
			t.Errorf("got %+v", v)
		}
		l.host("b").act()
		if v, _ = l.Volume("log"); !v.Ownership.Created {
			t.Error("its owner made it, and it is not created")
		}
		for _, row := range []struct {
			rule  string
			r     wire.VolumeRequest
			kind  error
			words []string
		}{
			{"a name that is taken", wire.VolumeRequest{Name: "log", Node: "a"}, cluster.ErrExists, nil},
			{"a name that is none", wire.VolumeRequest{Name: "a/b", Node: "a"}, cluster.ErrInvalid, []string{"letters"}},
			{"no node", wire.VolumeRequest{Name: "new"}, cluster.ErrInvalid, []string{"node-a, node-b, node-c"}},
			{"a node that is not there", wire.VolumeRequest{Name: "new", Node: "z"}, cluster.ErrNotFound, []string{"node-a"}},
			{"an option for another backend", wire.VolumeRequest{Name: "new", Node: "node-a", Options: options}, cluster.ErrInvalid, []string{"options.zfs.recordsize", "node-a has dir"}},
			{"an option without a backend", wire.VolumeRequest{Name: "new", Node: "node-a", Options: map[string]string{"x": "1"}}, cluster.ErrInvalid, []string{"options.x", "zfs.recordsize"}},
			{"a profile that is not there", wire.VolumeRequest{Name: "new", Node: "node-a", Profile: "fast"}, cluster.ErrInvalid, []string{"the profiles are: database"}},
			{"an origin of nothing", wire.VolumeRequest{Name: "new", Node: "node-b", Origin: &cluster.Origin{}}, cluster.ErrInvalid, nil},
			{"adopt, by a backend that cannot", wire.VolumeRequest{Name: "new", Node: "node-a", Origin: &cluster.Origin{Adopt: "x"}}, cluster.ErrUnsupported, []string{"node-a", "dir", "adopt"}},
		} {
			_, err := l.CreateVolume(l.ctx, row.r)
			t.Log(row.rule)
			l.wantRefused(err, row.kind, row.words...)
		}
		v, err = l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "new", Node: "node-b", Origin: &cluster.Origin{Adopt: "tank/db"}})
		l.ok(err)
		if o := l.host("b").assignment().Volumes; len(o) != 2 || v.Volume.Origin.Adopt != "tank/db" {
			t.Errorf("b is told of %+v", o)
		}
	})
}

func TestCloneIsMadeWhereTheSnapshotIs(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.able("a")
		l.able("b")
		l.runDatabase()
		l.configure(func(c *cluster.Configuration) {
			v := c.Volumes[dbVolume]
			v.MaximumSize, v.Profile = 5000, "database"
			c.Volumes[dbVolume] = v
		})
		l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "both"}))
		l.host("a").act()
		b := l.host("b")
		b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica, Epoch: 1, Snapshots: []cluster.Snapshot{{Name: "both"}, {Name: "old"}}}}
		b.report()
		clone := func(name, node string, snapshot cluster.SnapshotName) (cluster.Volume, error) {
			v, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: name, Node: node, Origin: &cluster.Origin{Volume: "db", Snapshot: snapshot}})
			return v.Volume, err
		}
		for _, row := range []struct {
			name, node string
			snapshot   cluster.SnapshotName
			want       cluster.NodeID
		}{{"now", "", "", "a"}, {"owner-first", "", "both", "a"}, {"asked-for", "node-b", "both", "b"}, {"only-there", "", "old", "b"}} {
			v, err := clone(row.name, row.node, row.snapshot)
			l.ok(err)
			if v.Primary != row.want || v.Origin.Volume != dbVolume || v.MaximumSize != 5000 || v.Profile != "database" {
				t.Errorf("%s: got %+v, want it on %s", row.name, v, row.want)
			}
		}
		_, err := clone("x", "", "never")
		l.wantRefused(err, cluster.ErrNotFound, "never")
		_, err = clone("x", "node-b", "")
		l.wantRefused(err, cluster.ErrRefused, "node-a does")
		l.ok(l.Register(l.ctx, cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.a", Era: "1", Backend: "dir"}))
		_, err = clone("x", "", "")
		l.wantRefused(err, cluster.ErrUnsupported, "node-a", "cannot clone")
	})
}

func TestResizeVolume(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		_, err := l.ResizeVolume(l.ctx, "db", wire.ResizeRequest{MaximumSize: 999})
		l.wantRefused(err, cluster.ErrRefused, "1000 bytes on node-a", "999 bytes")
		_, err = l.ResizeVolume(l.ctx, "db", wire.ResizeRequest{MaximumSize: -1})
		l.wantRefused(err, cluster.ErrInvalid)
		for _, size := range []int64{1000, 0} {
			v, err := l.ResizeVolume(l.ctx, "db", wire.ResizeRequest{MaximumSize: size})
			l.ok(err)
			if told := l.host("a").assignment().Volumes[0].Volume.MaximumSize; v.Volume.MaximumSize != size || told != size {
				t.Errorf("got %d, a is told %d, want %d", v.Volume.MaximumSize, told, size)
			}
		}
	})
}

func TestDeleteAndUndeleteVolume(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		_, err := l.DeleteVolume(l.ctx, "db")
		l.wantRefused(err, cluster.ErrConflict, "application db uses it", "application file")
		l.configure(func(c *cluster.Configuration) {
			delete(c.Applications, "db")
			c.Leases[dbVolume] = cluster.Lease{Volume: dbVolume, Node: "a"}
		})
		_, err = l.DeleteVolume(l.ctx, "db")
		l.wantRefused(err, cluster.ErrConflict, "a lease keeps it on node-a")
		l.configure(func(c *cluster.Configuration) {
			delete(c.Leases, dbVolume)
			v := c.Volumes[dbVolume]
			v.Primary = "b"
			c.Volumes[dbVolume] = v
		})
		_, err = l.DeleteVolume(l.ctx, "db")
		l.wantRefused(err, cluster.ErrConflict, "moving to node-b", "abort")
		_, err = l.AbortMove(l.ctx, l.newest().ID)
		l.ok(err)
		time.Sleep(time.Second)
		l.ok(l.failed(l.newest(), true))

		_, err = l.UndeleteVolume(l.ctx, "db")
		l.wantRefused(err, cluster.ErrConflict, "is not deleted")
		v, err := l.DeleteVolume(l.ctx, "db")
		l.ok(err)
		at := v.Volume.DeletedAt
		if !v.Volume.Deleted || at.IsZero() {
			t.Errorf("got %+v", v.Volume)
		}
		l.allAct()
		time.Sleep(time.Minute)
		l.configure(func(*cluster.Configuration) {})
		if v, _ = l.Volume(string(dbVolume)); v.Volume.DeletedAt != at || len(v.Copies) != 0 {
			t.Errorf("a minute later it is %+v", v)
		}
		if _, err := l.DeleteVolume(l.ctx, "db"); err == nil {
			t.Error("a deleted volume was deleted")
		}

		second, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "db", Node: "node-b"})
		l.ok(err)
		if second.Volume.ID == dbVolume {
			t.Fatal("a new volume has the id of a deleted one")
		}
		_, err = l.UndeleteVolume(l.ctx, string(dbVolume))
		l.wantRefused(err, cluster.ErrExists, string(second.Volume.ID))
		_, err = l.DeleteVolume(l.ctx, "db")
		l.ok(err)
		v, err = l.UndeleteVolume(l.ctx, "db")
		l.ok(err)
		if v.Volume.ID != second.Volume.ID || v.Volume.Deleted || !v.Volume.DeletedAt.IsZero() {
			t.Errorf("by name came back %+v, want the one that was deleted last", v.Volume)
		}
		_, err = l.UndeleteVolume(l.ctx, "never")
		l.wantRefused(err, cluster.ErrNotFound)
	})
}

// snapshotsOfDB makes a report that it holds snapshots, kept unless they begin with r.
func (h *host) snapshotsOfDB(role cluster.Role, names ...cluster.SnapshotName) {
	h.lab.t.Helper()
	c := cluster.Copy{Volume: dbVolume, Role: role, Epoch: 1, Open: role == cluster.Primary}
	for _, name := range names {
		c.Snapshots = append(c.Snapshots, cluster.Snapshot{Name: name, GUID: "guid-" + string(name), Kept: !strings.HasPrefix(string(name), "r")})
	}
	h.state.Volumes = []cluster.Copy{c}
	h.report()
}

func TestRollbackVolume(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		back := func(to cluster.SnapshotName, force bool) error {
			_, err := l.RollbackVolume(l.ctx, "db", wire.RollbackRequest{Snapshot: to, Force: force})
			return err
		}
		l.wantRefused(back("one", false), cluster.ErrUnsupported, "node-a", "cannot roll back") // stopping db would not help
		l.able("a")
		l.wantRefused(back("one", false), cluster.ErrConflict, "application db uses it on node-a", "deployment file")
		l.configure(database(""))
		l.configure(func(c *cluster.Configuration) {
			v := c.Volumes[dbVolume]
			v.Primary = "a"
			c.Volumes[dbVolume] = v
		})
		for _, name := range []cluster.SnapshotName{"one", "two"} {
			l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: name}))
		}
		l.host("a").snapshotsOfDB(cluster.Primary, "r0", "one", "r1")
		l.wantRefused(back("never", false), cluster.ErrNotFound, "r0, one, r1")
		l.wantRefused(back("r0", false), cluster.ErrConflict, "two", "not been made")
		l.host("b").snapshotsOfDB(cluster.Replica, "r0", "r1")
		l.host("a").snapshotsOfDB(cluster.Primary, "r0", "one", "r1", "r2", "two")
		l.wantRefused(back("one", false), cluster.ErrRefused, "r1, of", "it is the base for node-b", "two, of", "a user asked for it", "--force")
		if err := back("one", false); strings.Contains(err.Error(), "r2") {
			t.Errorf("nobody counts on r2: %v", err)
		}
		l.ok(back("one", true))
		v, _ := l.Volume("db")
		wish := v.Volume.Rollback
		if wish == nil || wish.Snapshot != "one" || wish.Epoch != 1 || len(v.Volume.Snapshots) != 1 || v.Volume.Snapshots[0].Name != "one" {
			t.Fatalf("the wish is %+v, the snapshots %+v: two would be made again", wish, v.Volume.Snapshots)
		}
		l.ok(back("one", false))
		if again, _ := l.Volume("db"); again.Volume.Rollback.ID != wish.ID {
			t.Error("asked twice, it is another wish")
		}
		if pending := l.Status().Pending; !slices.Contains(pending, "volume db: has not gone back to snapshot one yet") {
			t.Errorf("pending is %q", pending)
		}
		_, err := l.DropSnapshot(l.ctx, "db", "one")
		l.wantRefused(err, cluster.ErrConflict, "going back to it")

		_, err = l.RequestMove(l.ctx, wire.MoveRequest{Volume: "db", To: "node-b"})
		l.ok(err)
		time.Sleep(5 * time.Second)
		if m := l.wantPhase(cluster.PhaseWaiting); !strings.Contains(m.Reason, "goes back to snapshot one") {
			t.Errorf("the move waits: %s", m.Reason)
		}
		l.host("a").snapshotsOfDB(cluster.Primary, "r0", "one")
		l.host("a").state.Volumes[0].Rollback = wish.ID
		l.host("a").report()
		time.Sleep(time.Second)
		l.wantPhase(cluster.PhasePrepare)
		l.wantRefused(back("one", false), cluster.ErrConflict, "moving to node-b")
	})
}

func TestDropSnapshot(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "one"}))
		_, err := l.DropSnapshot(l.ctx, "db", "two")
		l.wantRefused(err, cluster.ErrNotFound, "one")
		v, err := l.DropSnapshot(l.ctx, "db", "one")
		l.ok(err)
		if len(v.Volume.Snapshots) != 0 || len(l.host("a").assignment().Volumes[0].Volume.Snapshots) != 0 {
			t.Errorf("it is still wanted: %+v", v.Volume)
		}
	})
}

func TestAVolumeIsNotNamedLikeAnId(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		for _, name := range []string{string(dbVolume), string(cluster.VolumeIDForName("to come"))} {
			_, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: name, Node: "a"})
			l.wantKind(err, cluster.ErrInvalid)
			_, err = l.Edit(l.ctx, func(c *cluster.Configuration) error {
				c.Volumes["log"] = cluster.Volume{ID: "log", Name: name}
				return nil
			})
			l.wantKind(err, cluster.ErrInvalid)
		}
		// One that an earlier version let through is not what is meant by the id of another.
		_, err := l.update(l.ctx, func(w *rules.Write) error {
			w.Volumes.Put(cluster.Volume{ID: "imposter", Name: string(dbVolume)})
			return nil
		})
		l.ok(err)
		for range 20 {
			if v, err := l.Volume(string(dbVolume)); err != nil || v.Volume.Name != "db" {
				t.Fatalf("the volume of that id is %+v, %v", v.Volume, err)
			}
		}
	})
}

func TestADeletedVolumeIsForgottenOnceNothingIsLeft(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		a := l.host("a")
		a.register()
		n := a.node()
		n.TrashGrace = 10 * time.Second
		l.ok(l.Register(l.ctx, n))
		_, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "log", Node: "a"})
		l.ok(err)
		a.act()
		before, err := l.VolumeChanges(l.ctx, 0)
		l.ok(err)
		_, err = l.DeleteVolume(l.ctx, "log")
		l.ok(err)
		a.act()
		deleted, err := l.VolumeChanges(l.ctx, before.Revision)
		l.ok(err)
		a.state.Trash = []cluster.VolumeID{logVolume}
		a.report()
		time.Sleep(20 * time.Second)
		if _, err := l.Volume(string(logVolume)); err != nil {
			t.Fatalf("a volume that can be brought back: %v", err)
		}
		a.state.Trash = []cluster.VolumeID{}
		l.restart()
		time.Sleep(20 * time.Second)
		if _, err := l.Volume(string(logVolume)); err != nil {
			t.Fatalf("its owner has not said that nothing is left: %v", err)
		}
		b := l.host("b")
		b.state.Volumes = []cluster.Copy{{Volume: logVolume, Role: cluster.Replica, Epoch: 1}}
		b.report()
		l.ok(l.Register(l.ctx, n))
		a.report()
		time.Sleep(time.Second)
		if _, err := l.Volume(string(logVolume)); err != nil {
			t.Fatalf("another node has a copy yet, which it is to remove: %v", err)
		}
		b.state.Volumes = nil
		b.report()
		time.Sleep(time.Second)
		_, err = l.Volume(string(logVolume))
		l.wantKind(err, cluster.ErrNotFound)
		if s := l.Status(); len(s.Ownerships)+len(s.Configuration.Volumes) != 0 {
			t.Errorf("it is remembered as %+v, %+v", s.Ownerships, s.Configuration.Volumes)
		}
		for key := range first(stored(t, l.store)) {
			if strings.Contains(key, string(logVolume)) {
				t.Errorf("the store has %s", key)
			}
		}
		again, err := l.VolumeChanges(l.ctx, 0)
		l.ok(err)
		if len(again.Volumes) != 0 || len(deleted.Volumes) != 1 {
			t.Errorf("the list of volumes has %+v", again.Volumes)
		}
		_, err = l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "log", Node: "a"})
		l.ok(err)
		a.act()
		if v, _ := l.Volume("log"); !v.Ownership.Created {
			t.Errorf("a new one of that name: %+v", v)
		}
	})
}

func first[A, B any](a A, _ B) A { return a }
