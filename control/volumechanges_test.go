package control

import (
	"context"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// changes returns what is told after a revision without waiting.
func (l *lab) changes(since cluster.Revision) (wire.VolumeChanges, bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.ctx, time.Nanosecond)
	defer cancel()
	c, err := l.VolumeChanges(ctx, since)
	return c, err == nil
}

func TestTheListTellsWhatChanged(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		for _, name := range []string{"one", "two"} {
			_, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: name, Node: "node-a", MaximumSize: 9})
			l.ok(err)
		}
		all, _ := l.changes(0)
		if !all.Reset || len(all.Volumes) != 2 || all.Volumes[0].Owner != "node-a" || all.Volumes[0].Epoch != 1 || all.Volumes[0].MaximumSize != 9 {
			t.Fatalf("at first: %+v", all)
		}
		if c, told := l.changes(all.Revision); told {
			t.Errorf("nothing changed, and it says %+v", c)
		}
		l.host("a").act() // both are created, which is nobody's business
		if c, told := l.changes(all.Revision); told {
			t.Errorf("nothing changed, and it says %+v", c)
		}
		_, err := l.ResizeVolume(l.ctx, "one", wire.ResizeRequest{MaximumSize: 2000})
		l.ok(err)
		resized, _ := l.changes(all.Revision)
		if resized.Reset || len(resized.Volumes) != 1 || resized.Volumes[0].Name != "one" || resized.Volumes[0].MaximumSize != 2000 {
			t.Errorf("after a resize: %+v", resized)
		}
		_, err = l.DeleteVolume(l.ctx, "two")
		l.ok(err)
		deleted, _ := l.changes(resized.Revision)
		if len(deleted.Volumes) != 1 || deleted.Volumes[0].Name != "two" || !deleted.Volumes[0].Deleted {
			t.Errorf("after a deletion: %+v", deleted)
		}
		if ahead, _ := l.changes(deleted.Revision + 1); !ahead.Reset || len(ahead.Volumes) != 1 || ahead.Revision != deleted.Revision {
			t.Errorf("to who knows of changes that a restored store has not seen: %+v", ahead)
		}
		time.Sleep(time.Millisecond)
		l.restart()
		if again, _ := l.changes(deleted.Revision); !again.Reset || len(again.Volumes) != 1 || again.Revision <= deleted.Revision {
			t.Errorf("after a restart of the service: %+v", again)
		}
	})
}

// TestWhatAnEarlierLifeToldIsNotTakenForThisOnes, though the store has not changed since.
func TestWhatAnEarlierLifeToldIsNotTakenForThisOnes(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		for _, name := range []string{"one", "two", "three"} {
			_, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: name, Node: "node-a"})
			l.ok(err)
		}
		all, _ := l.changes(0)
		for range 3 {
			time.Sleep(time.Microsecond)
			l.restart()
			now, _ := l.changes(0)
			for since := all.Revision - 5; since <= all.Revision+5; since++ {
				if c, told := l.changes(since); since < now.Revision && (!told || !c.Reset) {
					t.Errorf("since %d, of an earlier life, it told %t: %+v", since, told, c)
				}
			}
			all = now
		}
	})
}

func TestAWaitForVolumeChangesEndsWithAChange(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		first, _ := l.changes(0)
		told := make(chan wire.VolumeChanges, 1)
		go func() {
			c, err := l.VolumeChanges(l.ctx, first.Revision)
			if err != nil {
				t.Error(err)
			}
			told <- c
		}()
		_, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "new", Node: "node-a"})
		l.ok(err)
		if c := <-told; len(c.Volumes) != 1 || c.Volumes[0].Name != "new" {
			t.Errorf("told %+v", c)
		}
	})
}

// TestAContainerKeepsAVolume: what the owner says of Docker's containers decides at once.
func TestAContainerKeepsAVolume(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		_, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "log", Node: "node-a"})
		l.ok(err)
		a := l.host("a")
		a.act()
		a.state.Volumes[0].Users = []string{"container web"}
		a.report()
		_, err = l.RequestMove(l.ctx, wire.MoveRequest{Volume: "log", To: "node-b"})
		l.wantRefused(err, cluster.ErrConflict, "in use on node-a by container web", "stop it there first")
		_, err = l.DeleteVolume(l.ctx, "log")
		l.wantRefused(err, cluster.ErrConflict, "in use on node-a by container web")
		a.state.Volumes[0].Users = nil
		a.report()
		_, err = l.RequestMove(l.ctx, wire.MoveRequest{Volume: "log", To: "node-b"})
		l.ok(err)
	})
}

func TestAVolumeOfAnApplicationIsNotMovedAlone(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		_, err := l.RequestMove(l.ctx, wire.MoveRequest{Volume: string(dbVolume), To: "node-b", Alone: true})
		l.wantRefused(err, cluster.ErrConflict, "application db uses it on node-a")
		_, err = l.RequestMove(l.ctx, wire.MoveRequest{Volume: string(dbVolume), To: "node-b"})
		l.ok(err)
	})
}

// TestAListOfAStoreThatWentBackIsGivenAnew: its revision must not look like one of the life that goes on.
func TestAListOfAStoreThatWentBackIsGivenAnew(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		backup := l.store.Backup()
		_, err := l.CreateVolume(l.ctx, wire.VolumeRequest{Name: "later", Node: "a"})
		l.ok(err)
		known, err := l.VolumeChanges(l.ctx, 0)
		l.ok(err)
		time.Sleep(time.Millisecond)
		l.putBack(backup)
		ctx, cancel := context.WithTimeout(l.ctx, time.Second)
		defer cancel()
		now, err := l.VolumeChanges(ctx, known.Revision)
		if l.ok(err); !now.Reset || len(now.Volumes) != 1 {
			t.Errorf("who knows of two volumes is told %+v", now)
		}
	})
}
