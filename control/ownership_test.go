package control

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

func TestTheFirstOwnerIsMadeInTheSameWrite(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(database("a"))
		l.wantOwner("a", 1)
		v, err := l.Volume("db")
		l.ok(err)
		if v.Ownership.Created || v.Application != "db" {
			t.Errorf("a volume that nobody reported is %+v", v)
		}
		l.host("b").report()
		l.host("a").act()
		if v, _ = l.Volume("db"); !v.Ownership.Created {
			t.Error("the owner reported its copy, and the volume is not created")
		}
		l.host("a").state.Volumes = nil
		l.host("a").report()
		l.restart()
		if v, _ = l.Volume("db"); !v.Ownership.Created {
			t.Error("a volume was created only until its copy was lost")
		}
	})
}

func TestNothingIsCreatedOverACopy(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		c := l.host("c")
		c.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 4}}
		c.report()
		l.configure(database("a"))
		conflict := "volume db has no owner on record, but there are copies on node-c (primary, epoch 4): it is not created anew over them"
		unowned := func(why string) {
			t.Helper()
			if v, _ := l.Volume("db"); v.Ownership.Owner != "" {
				t.Fatalf("%s: it has the owner %+v", why, v.Ownership)
			}
		}
		unowned("c has a copy")
		l.wantEvent("conflict", conflict)
		l.wantPending(conflict)
		time.Sleep(time.Minute)
		unowned("c was not heard of for a minute")
		told := 0
		events, _ := l.Events(l.ctx, 0)
		for _, e := range events {
			if e.Kind == "conflict" {
				told++
			}
		}
		if told != 1 {
			t.Errorf("the conflict was told %d times", told)
		}

		l.restart()
		l.host("a").register()
		l.host("a").report()
		l.configure(func(c *cluster.Configuration) { v := c.Volumes[dbVolume]; v.MaximumSize = 9; c.Volumes[dbVolume] = v })
		time.Sleep(10 * time.Second)
		unowned("c may still come after a restart")
		c.register()
		c.report()
		time.Sleep(time.Minute)
		unowned("c came and has its copy")

		c.state.Volumes = nil
		c.report()
		time.Sleep(time.Second)
		l.wantOwner("a", 1)
	})
}

func TestANodeThatIsGoneForGoodHoldsUpNoNewVolume(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.restart()
		l.host("a").register()
		l.host("a").report()
		l.configure(database("a"))
		if v, _ := l.Volume("db"); v.Ownership.Owner != "" {
			t.Errorf("it has the owner %+v before b and c had time to say what they hold", v.Ownership)
		}
		l.wantPending("volume db: waits for all nodes to say what they hold before it gets an owner")
		time.Sleep(20 * time.Second)
		l.wantOwner("a", 1)
	})
}

func TestReportsThatLieChangeNothing(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(database("a"))
		liar := l.host("b")
		liar.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 99, Open: true}}
		liar.state.Applications = []cluster.Instance{{Name: "db", Running: true, Healthy: true, Epoch: 1, Endpoints: map[int]string{5432: "b:666"}}}
		liar.report()
		l.wantOwner("a", 1)
		if v, _ := l.Volume("db"); v.Ownership.Created {
			t.Error("created by the report of another node")
		}
		if r := l.route(5432); r.Endpoint != "" {
			t.Errorf("the route leads to %+v", r)
		}
		l.host("a").state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: 7}}
		l.host("a").report()
		if v, _ := l.Volume("db"); v.Ownership.Created {
			t.Error("created by a copy of another epoch")
		}
	})
}

func TestADeletedVolumeKeepsItsOwnerAndComesBack(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		deleted := func(yes bool) func(*cluster.Configuration) {
			return func(c *cluster.Configuration) {
				delete(c.Applications, "db")
				v := c.Volumes[dbVolume]
				v.Deleted = yes
				c.Volumes[dbVolume] = v
			}
		}
		l.configure(deleted(true))
		s := l.host("a").assignment()
		if len(s.Volumes) != 0 || len(s.Deleted) != 1 {
			t.Errorf("its owner is told %+v", s)
		}
		l.wantPending("volume db: deleted, but node-a still has a copy")
		l.host("a").act()
		l.host("b").act()
		l.host("c").act()
		l.wantPending()
		l.configure(deleted(false))
		if s := l.host("a").assignment(); len(s.Volumes) != 1 || !s.Volumes[0].Ownership.Created {
			t.Errorf("its owner is told %+v, want the volume with its record", s)
		}
	})
}

// TestNothingIsCreatedOverWhatIsInATrash: who deleted it may want it back.
func TestNothingIsCreatedOverWhatIsInATrash(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		c := l.host("c")
		c.state.Trash = []cluster.VolumeID{dbVolume}
		c.report()
		l.configure(database("a"))
		if v, _ := l.Volume("db"); v.Ownership.Owner != "" {
			t.Errorf("it has the owner %+v", v.Ownership)
		}
		l.wantPending("volume db has no owner on record, but there are copies on node-c (in the trash): it is not created anew over them")
	})
}
