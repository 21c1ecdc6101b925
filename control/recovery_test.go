package control

import (
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
)

// putBack makes the service start again on what its store held earlier; nodes go on, and say again what
// they have.
func (l *lab) putBack(backup *mem.Store) {
	l.t.Helper()
	l.stop()
	l.store = backup
	l.start(l.store)
	for _, h := range l.hosts {
		h.register()
		h.report()
	}
}

// movedSince runs db on a, keeps a backup, and moves it to b.
func (l *lab) movedSince() *mem.Store {
	l.t.Helper()
	l.runDatabase()
	l.allAct()
	backup := l.store.Backup()
	l.bring(cluster.PhasePromote)
	l.allAct()
	l.wantPhase(cluster.PhaseDone)
	return backup
}

func TestAStoreThatWentBackMakesNoSecondWriter(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		backup := l.movedSince()
		a := l.host("a")
		a.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 1, Open: true}} // it never heard of the commit
		l.putBack(backup)
		s := a.assignment()
		if len(s.Applications)+len(s.Volumes) > 0 {
			t.Errorf("a, which does not own db any more, is told to run %+v on %+v", s.Applications, s.Volumes)
		}
		if len(s.Owners) != 1 || s.Owners[0].Owner != "b" || s.Owners[0].Epoch != 2 {
			t.Errorf("a is told of the owners %+v, want b at epoch 2", s.Owners)
		}
		b := l.host("b").assignment()
		if len(b.Owners)+len(b.Volumes)+len(b.Deleted) > 0 {
			t.Errorf("b, which goes on with db, is told %+v", b)
		}
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "b:5432", Epoch: 2})
		l.wantEvent("conflict", "db", "node-a at epoch 1", "node-b (primary, epoch 2)")
		if s := l.Status(); s.Converged || !strings.Contains(s.Suspended[dbVolume], "the store has gone back") {
			t.Errorf("the status says that all is well, or not what is suspended: %q", s.Suspended)
		}
	})
}

func TestAVolumeAboveTheRecordIsSuspendedAlone(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.putBack(l.movedSince())
		_, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "c"})
		l.wantKind(err, cluster.ErrConflict)
		_, err = l.DeleteVolume(l.ctx, "db")
		l.wantKind(err, cluster.ErrConflict)
		_, err = l.ResizeVolume(l.ctx, "db", wire.ResizeRequest{})
		l.wantKind(err, cluster.ErrConflict)
		l.configure(site("c"))
		l.host("c").act()
		if r := l.route(8080); r.Endpoint != "c:80" {
			t.Errorf("what has nothing to do with it has the route %+v", r)
		}
		if len(l.Moves()) != 0 {
			t.Errorf("a move begins: %+v", l.Moves())
		}
	})
}

func TestACommitThatIsNotOnRecordAnyMoreIsNotWithdrawn(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		backup := l.store.Backup()
		m := l.bring(cluster.PhaseHold)
		l.ok(l.commit(m)) // whose answer is lost
		l.host("a").state.Seen = l.host("a").assignment().Revision
		l.stop()
		l.store = backup
		l.start(l.store)
		l.wantKind(l.commit(m), cluster.ErrUnavailable)
		l.host("a").register()
		l.wantKind(l.commit(m), cluster.ErrUnavailable)
		l.host("a").report()
		l.wantKind(l.commit(m), cluster.ErrUnavailable)
		l.wantKind(l.failed(m, false), cluster.ErrUnavailable)
	})
}

func TestNothingIsDestroyedOnTheWordOfAStoreThatWentBack(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		_, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "log", Node: "b"})
		l.ok(err)
		l.allAct()
		a, b := l.host("a"), l.host("b")
		snapshots := func() {
			for i := range a.state.Volumes {
				a.state.Volumes[i].Snapshots = []cluster.Snapshot{{Name: "one", GUID: "1", Kept: true}, {Name: "two", GUID: "2", Kept: true}}
			}
		}
		l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "one"}))
		_, err = l.Configure(l.ctx, 0, func() cluster.Configuration {
			c, _ := l.Configuration()
			v := c.Volumes[dbVolume]
			v.Rollback = &cluster.RollbackRequest{ID: "first", Snapshot: "one", Epoch: 1}
			c.Volumes[dbVolume] = v
			v = c.Volumes[logVolume]
			v.Deleted = true
			c.Volumes[logVolume] = v
			return c
		}())
		l.ok(err)
		backup := l.store.Backup()
		_, err = l.UndeleteVolume(l.ctx, "log")
		l.ok(err)
		l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "two"}))
		l.allAct()
		snapshots()
		for i := range a.state.Volumes {
			a.state.Volumes[i].Rollback = "second"
		}
		l.putBack(backup)

		told := a.assignment().Volumes
		if len(told) != 1 || told[0].Volume.Rollback != nil || len(told[0].Volume.Snapshots) != 2 {
			t.Errorf("a is told of %+v: it would drop a snapshot, or go back to one", told)
		}
		if deleted := b.assignment().Deleted; len(deleted) != 0 {
			t.Errorf("b is told to delete %v, which was undeleted", deleted)
		}
		l.wantEvent("store went back", "older than what nodes have acted on")

		_, err = l.RollbackVolume(l.ctx, "db", wire.RollbackRequest{Snapshot: "one"})
		l.wantKind(err, cluster.ErrConflict)
		_, err = l.DropSnapshot(l.ctx, "db", "one")
		l.wantKind(err, cluster.ErrConflict)
		r := l.Recovery()
		want := []string{
			"volume db: snapshot two, which is not on record, is kept",
			"volume db: does not go back to snapshot one, which was asked for earlier",
			"volume log: is deleted: its copy on node-b goes into the trash there",
		}
		for _, sentence := range want {
			if !containsAll(strings.Join(r.Consequences, "\n"), []string{sentence}) {
				t.Errorf("the consequences are %q, want %q", r.Consequences, sentence)
			}
		}
		_, err = l.AcceptRecovery(l.ctx, wire.AcceptRequest{})
		l.ok(err)
		told = a.assignment().Volumes
		if len(told) != 1 || told[0].Volume.Rollback != nil || len(told[0].Volume.Snapshots) != 2 {
			t.Errorf("after it was accepted a is told of %+v", told)
		}
		if deleted := b.assignment().Deleted; len(deleted) != 1 {
			t.Errorf("after it was accepted b is told to delete %v", deleted)
		}
		_, err = l.AcceptRecovery(l.ctx, wire.AcceptRequest{})
		l.wantKind(err, cluster.ErrConflict)
	})
}

func TestWhatIsAcceptedIsTheHighestEpochThatWasSeen(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.putBack(l.movedSince())
		accepted, err := l.AcceptRecovery(l.ctx, wire.AcceptRequest{})
		l.ok(err)
		if !containsAll(strings.Join(accepted.Consequences, "\n"), []string{"volume db: node-b is its owner, at epoch 2"}) {
			t.Errorf("accepted is %q", accepted.Consequences)
		}
		l.wantOwner("b", 2)
		l.wantWish("b")
		l.allAct()
		l.wantPending()
		l.restart()
		if l.Recovery().Recovering {
			t.Error("it has to be accepted again after a restart")
		}
	})
}

func TestAServiceThatOnlyStartsAgainHasNotGoneBack(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.movedSince()
		for range 3 {
			l.restart()
			for _, h := range l.hosts {
				h.register()
				h.report()
			}
			if r := l.Recovery(); r.Recovering {
				t.Fatalf("it is said to have gone back: %s", r.Why)
			}
		}
	})
}

func TestTheWordOfOneNodeTakesNothingFromAnother(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		b := l.host("b")
		b.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 9, Open: true}}
		b.state.Seen <<= 20 // it says that it has seen more, too
		b.report()
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "a:5432", Epoch: 1})
		if s := l.host("a").assignment(); len(s.Volumes) != 1 || len(s.Applications) != 1 {
			t.Errorf("the owner is told %+v", s)
		}
		l.wantEvent("conflict", "db", "node-b (primary, epoch 9)", "node-a goes on with it")
	})
}

func TestTheWordOfOneNodeStopsNoMoveThatIsUnderWay(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhaseHold)
		c := l.host("c")
		c.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 9, Open: true}}
		c.report()
		l.ok(l.commit(m))
		l.host("b").act()
		l.wantPhase(cluster.PhaseDone)
	})
}

func TestAMoveOfAStoreThatWentBackEndsWhenThatIsAccepted(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		m := l.bring(cluster.PhaseHold)
		backup := l.store.Backup()
		l.ok(l.commit(m))
		l.allAct()
		l.putBack(backup)
		l.wantPhase(cluster.PhaseHold)
		l.wantRoute(cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: "b:5432", Epoch: 2})
		_, err := l.AcceptRecovery(l.ctx, wire.AcceptRequest{})
		l.ok(err)
		l.wantPhase(cluster.PhaseRolledBack)
		l.wantOwner("b", 2)
		l.wantWish("b")
	})
}

func TestAVolumeThatGotItsOwnerSinceKeepsIt(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.host("c").register()
		backup := l.store.Backup()
		l.runDatabase()
		l.allAct()
		l.putBack(backup)
		l.configure(database("b")) // deployed again
		r, err := l.AcceptRecovery(l.ctx, wire.AcceptRequest{})
		l.ok(err)
		if !containsAll(strings.Join(r.Consequences, "\n"), []string{"volume db: node-a is its owner, at epoch 1"}) {
			t.Errorf("accepted is %q", r.Consequences)
		}
		l.wantOwner("a", 1)
	})
}

func TestAStoreThatWentBackByOneWriteIsNoticed(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		backup := l.store.Backup()
		l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "one"}))
		a := l.host("a")
		a.obey(a.assignment())
		l.putBack(backup)
		if told := a.assignment().Volumes; !l.Recovery().Recovering || len(told) != 1 || len(told[0].Volume.Snapshots) != 1 {
			t.Errorf("a is told of %+v: it would drop the snapshot", told)
		}
	})
}

func TestSnapshotsOfFormerOwnersOutliveAStoreThatWentBack(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		l.configure(site("c"))
		l.allAct()
		backup := l.store.Backup()
		l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "one"}))
		l.allAct()
		l.bring(cluster.PhasePromote)
		l.allAct() // a holds a replica with the snapshot now
		a := l.host("a")
		l.host("b").state.Volumes[0].Snapshots = nil // which was shipped in full
		l.putBack(backup)
		a.state.Volumes[0].Role = cluster.Primary // it has yet to hear that it was demoted
		a.report()
		if owners := a.assignment().Owners; len(owners) != 1 || len(owners[0].Unwanted) != 0 {
			t.Errorf("a is told of %+v", owners)
		}
		a.state.Volumes[0].Role = cluster.Replica
		a.report()
		if r := l.Recovery(); !containsAll(strings.Join(r.Consequences, "\n"), []string{"snapshot one, which is not on record, is kept on node-a"}) {
			t.Errorf("the consequences are %q", r.Consequences)
		}
		_, err := l.AcceptRecovery(l.ctx, wire.AcceptRequest{})
		l.ok(err)
		if owners := a.assignment().Owners; len(owners) != 1 || len(owners[0].Unwanted) != 0 {
			t.Errorf("after it was accepted a is told of %+v", owners)
		}
	})
}

// TestANodeThatWasThereIsLetInAfterTheStoreWentBack, though it was given its address since: it is no copy.
func TestANodeThatWasThereIsLetInAfterTheStoreWentBack(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		backup := l.store.Backup()
		n := cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.77", FormerAddress: "10.0.0.a", Era: "1"}
		l.ok(l.Register(l.ctx, n))
		n.FormerAddress = ""
		delete(l.hosts, "a")
		l.putBack(backup)
		copied := n
		copied.Era = "2"
		l.wantKind(l.Register(l.ctx, copied), cluster.ErrConflict)
		n.Admitted = true
		l.ok(l.Register(l.ctx, n))
		if on, _ := l.model.Nodes.Get("a"); on.Admitted {
			t.Error("that is on record")
		}
	})
}

// caughtUp takes a backup, has a user keep a snapshot of which only the owner of the volume has heard, and puts
// the backup back; the service then writes until its revision is above all that the owner was told.
func (l *lab) caughtUp() *host {
	l.t.Helper()
	l.runDatabase()
	l.allAct()
	backup := l.store.Backup()
	l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "one"}))
	a := l.host("a")
	a.obey(a.assignment())
	l.stop()
	l.store = backup
	l.start(l.store)
	l.host("c").register()
	for range 5 {
		l.ok(l.Record(l.ctx, cluster.Event{Node: "c", Kind: "test", Message: "time goes by"}))
	}
	if l.next() <= a.told.Revision {
		l.t.Fatal("the store has not caught up")
	}
	return a
}

func TestAStoreThatWentBackAndCaughtUpIsNoticed(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		a := l.caughtUp()
		a.register()
		a.report()
		if told := a.assignment().Volumes; !l.Recovery().Recovering || len(told) != 1 || len(told[0].Volume.Snapshots) != 1 {
			t.Errorf("a is told of %+v: it would drop the snapshot", told)
		}
	})
}

// TestWhatWasAcceptedIsNotAskedAgain, of a node that did not hear of anything since.
func TestWhatWasAcceptedIsNotAskedAgain(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		a := l.caughtUp()
		a.register()
		a.report()
		_, err := l.AcceptRecovery(l.ctx, wire.AcceptRequest{Without: []string{"node-b", "node-c"}})
		l.ok(err)
		for range 2 {
			a.register()
			a.report()
			if r := l.Recovery(); r.Recovering {
				t.Errorf("it is to be accepted again: %s", r.Why)
			}
			l.restart()
		}
		b := l.host("b") // which was not there then, and may have more
		b.told = a.told
		b.register()
		if !l.Recovery().Recovering {
			t.Error("what another node was told has been accepted with it")
		}
	})
}

func TestANodeThatSaysOfNoLifeIsJudgedByItsRevision(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		backup := l.store.Backup()
		l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "one"}))
		a := l.host("a")
		a.obey(a.assignment())
		a.told = cluster.Position{}
		l.putBack(backup)
		if told := a.assignment().Volumes; !l.Recovery().Recovering || len(told) != 1 || len(told[0].Volume.Snapshots) != 1 {
			t.Errorf("a is told of %+v: it would drop the snapshot", told)
		}
	})
}

// TestANodeThatWasAwayForLongerThanLivesAreKept has not seen that the store went back.
func TestANodeThatWasAwayForLongerThanLivesAreKept(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		a := l.host("a")
		a.assignment()
		for range 1005 {
			l.restart()
		}
		if n := l.model.Lives.Len(); n != 1000 {
			t.Errorf("%d lives are on record", n)
		}
		a.register()
		if r := l.Recovery(); r.Recovering {
			t.Errorf("the store is said to have gone back: %s", r.Why)
		}
	})
}

// TestAStoreOfAnEarlierVersionIsRead, which has no lives on record.
func TestAStoreOfAnEarlierVersionIsRead(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		l.stop()
		records, _ := stored(t, l.store)
		var lives []string
		for key := range records {
			if strings.HasPrefix(key, "life/") {
				lives = append(lives, key)
			}
		}
		first(l.store.Write(l.ctx, store.Batch{Delete: lives, Put: map[string][]byte{"service/start": []byte(`"2001-01-01T00:00:00Z"`)}}))
		for _, h := range l.hosts {
			h.told.Life = ""
		}
		l.stop = func() {}
		l.restart()
		for _, h := range l.hosts {
			h.register()
			h.report()
		}
		if r := l.Recovery(); len(lives) == 0 || r.Recovering {
			t.Errorf("of %d lives: %s", len(lives), r.Why)
		}
		l.wantOwner("a", 1)
	})
}

// TestAServiceThatWentBackWithItsMemory is noticed too: a virtual host that was put back to a snapshot of itself goes on in
// the same life, of which a node was told more.
func TestAServiceThatWentBackWithItsMemory(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		a := l.host("a")
		a.state.Volumes[0].Snapshots = []cluster.Snapshot{{Name: "one", Kept: true}} // asked for after the snapshot was taken
		a.told.Revision += 1 << 20
		a.state.Seen = a.told.Revision
		a.register()
		a.report()
		if kept := a.assignment().Volumes[0].Volume.Snapshots; !l.Recovery().Recovering || len(kept) != 1 {
			t.Errorf("noticed: %t; a is to keep %d snapshots of its one", l.Recovery().Recovering, len(kept))
		}
	})
}

// TestNobodyAcceptsWithoutANodeThatMayHaveMore: the record knows nothing of a volume that b alone has. It would get another
// owner, while b writes it.
func TestNobodyAcceptsWithoutANodeThatMayHaveMore(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.host("a").register()
		l.host("b").register()
		l.host("a").report()
		l.host("b").report()
		backup := l.store.Backup()
		l.configure(database("b"))
		l.allAct()
		l.putBack(backup)
		a, b, c := l.host("a"), l.host("b"), l.host("c")
		l.restart()
		a.told.Revision += 1 << 40 // a has been told of it, and comes back, with c; b is cut off
		for _, h := range []*host{a, c} {
			h.register()
			h.report()
		}
		time.Sleep(wire.LivenessWindow + time.Second)
		l.configure(database("a"))
		_, err := l.AcceptRecovery(l.ctx, wire.AcceptRequest{})
		l.wantKind(err, cluster.ErrRefused)
		if !strings.Contains(cluster.Hint(err), "drover control accept --yes --without node-b") {
			t.Errorf("the way out is %q", cluster.Hint(err))
		}
		if o, owned := l.model.Ownerships.Get(cluster.VolumeIDForName("db")); owned {
			t.Errorf("it has an owner: %+v", o)
		}
		b.register()
		b.report()
		_, err = l.AcceptRecovery(l.ctx, wire.AcceptRequest{})
		l.ok(err)
		l.wantOwner("b", 1)
		l.restart()
		a.told.Revision += 1 << 40
		for _, h := range []*host{a, c} {
			h.register()
			h.report()
		}
		_, err = l.AcceptRecovery(l.ctx, wire.AcceptRequest{Without: []string{"node-d"}})
		l.wantKind(err, cluster.ErrNotFound)
		_, err = l.AcceptRecovery(l.ctx, wire.AcceptRequest{Without: []string{"node-b"}})
		l.ok(err)
	})
}
