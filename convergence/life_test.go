package convergence

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

const forEver = "while :; do sleep 0.05; done"

// TestAMoveThatIsAborted is broken off while it ships, and the application goes on.
func TestAMoveThatIsAborted(t *testing.T) {
	s := newSender(t, whole, "/bin/sh", "-c", forEver)
	s.await("it runs", func() bool { return s.db().Running })
	shipping, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	first := sync.OnceFunc(func() { close(shipping); <-goOn })
	s.pipe.Fail = func(volume.Delta) error { first(); return nil }
	s.move()
	<-shipping
	before := s.db()
	s.changes(func(a *cluster.Assignment) {
		a.Moves[0].Phase, a.Moves[0].Aborting, a.Moves[0].Reason = cluster.PhasePrecopy, true, "nobody wants it"
	})
	release()
	s.over()
	if s.commits != 0 || !strings.Contains(s.failures[0].Reason, "nobody wants it") {
		t.Errorf("%d commits, %+v", s.commits, s.failures)
	}
	if now := s.db(); !now.Running || !now.Started.Equal(before.Started) {
		t.Errorf("it was %+v and is %+v", before, now)
	}
}

// TestAskedBeforeARestart: what the journal says is asked for again, and acted upon, before all else.
func TestAskedBeforeARestart(t *testing.T) {
	s := newSender(t, whole, "/bin/sh", "-c", forEver)
	s.await("it runs", func() bool { return s.db().Running })
	// As an agent leaves it that ends when it has asked.
	s.changes(func(a *cluster.Assignment) { a.Applications = nil })
	s.await("nothing runs", func() bool { return !s.db().Running })
	if err := s.agent.Backend.Close(t.Context(), longID); err != nil {
		t.Fatal(err)
	}
	last, err := s.agent.Backend.Snapshot(t.Context(), longID, "move-m-1-final", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.agent.journal.Asking(cluster.Move{ID: "m", Volume: longID, From: "a", To: "b", Epoch: 1, Attempt: 1}, last.GUID); err != nil {
		t.Fatal(err)
	}
	s.agent.wake.send()
	s.await("the copy is a replica", func() bool { c, ok := s.copy(); return ok && c.Role == cluster.Replica && c.Epoch == 2 })
	s.await("the journal is settled", func() bool { return len(s.agent.journal.Undecided()) == 0 })
	if s.commits != 1 {
		t.Errorf("it was asked for %d times", s.commits)
	}
}

// TestWhatIgnoresItsStopIsKilled where it is no longer wanted, and an event says so.
func TestWhatIgnoresItsStopIsKilled(t *testing.T) {
	s := newSender(t, whole, "/bin/sh", "-c", `trap "" TERM; echo $$ > pid; `+forEver)
	s.pid()
	s.changes(func(a *cluster.Assignment) { a.Applications = nil })
	s.await("it is gone", func() bool {
		all, err := s.agent.Runtime.Instances(t.Context())
		return err == nil && len(all) == 0
	})
	if !s.recorded("killed") {
		t.Errorf("the events are %+v", s.events)
	}
}

// TestAVolumeIsDeletedAndUndeleted: it goes into the trash once nothing runs on it, and comes back out of it.
func TestAVolumeIsDeletedAndUndeleted(t *testing.T) {
	s := newSender(t, whole, "/bin/sh", "-c", forEver)
	s.await("it runs", func() bool { return s.db().Running })
	before, _ := s.agent.heard()
	s.changes(func(a *cluster.Assignment) {
		a.Applications, a.Volumes, a.Deleted = nil, nil, []cluster.VolumeID{longID}
	})
	s.await("it is in the trash", func() bool {
		trash, err := s.agent.trash(t.Context())
		return err == nil && len(trash) == 1
	})
	s.agent.setAssignment(before)
	s.await("it runs on what came back", func() bool { c, ok := s.copy(); return ok && c.Open && s.db().Running })
	if s.recorded("copy lost") {
		t.Errorf("what Drover did is taken for a loss: %+v", s.events)
	}
}

// TestAFormerOwnerWindsDown: what it wrote since is kept, and told of.
func TestAFormerOwnerWindsDown(t *testing.T) {
	s := newSender(t, whole, "/bin/sh", "-c", forEver)
	s.await("it runs", func() bool { return s.db().Running })
	s.changes(func(a *cluster.Assignment) {
		a.Applications, a.Volumes = nil, nil
		a.Owners = []cluster.ForeignVolume{{Ownership: cluster.Ownership{Volume: longID, Owner: "b", Epoch: 2}, Name: "pgdata"}}
	})
	s.await("that is told", func() bool { return s.recorded("diverged") })
	if c, there := s.copy(); s.db().Running || there && c.Role == cluster.Primary {
		t.Errorf("it is left with %+v, and runs: %t", c, s.db().Running)
	}
}

// TestInAnyOrder deploys, undeploys, redefines and kills the application while its volume leaves: whatever comes
// when, nothing writes here when the commit is asked for, and what is wanted runs if there was none.
func TestInAnyOrder(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			s := newSender(t, whole, "/bin/sh", "-c", "echo $$ > pid; "+forEver)
			s.pid()
			wanted, _ := s.agent.heard()
			apps := wanted.Applications
			slow := time.Duration(random.IntN(60)) * time.Millisecond
			s.pipe.Fail = func(volume.Delta) error { time.Sleep(slow); return nil }
			s.move()
			for range 1 + random.IntN(6) {
				time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
				switch random.IntN(4) {
				case 0:
					s.changes(func(a *cluster.Assignment) { a.Applications = nil })
				case 1:
					s.changes(func(a *cluster.Assignment) { a.Applications = apps })
				case 2:
					s.changes(func(a *cluster.Assignment) {
						a.Applications = slices.Clone(apps)
						a.Applications[0].Command = []string{"/bin/sh", "-c", fmt.Sprint("echo $$ > pid; : ", random.Int(), "; ", forEver)}
					})
				case 3:
					if pid, err := s.said(); err == nil {
						_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
					}
				}
			}
			s.over()
			if s.commits > 0 {
				s.await("nothing runs here any more", func() bool { return !s.db().Running })
				return
			}
			s.changes(func(a *cluster.Assignment) { a.Applications = apps })
			s.await("it runs here again", func() bool { return s.db().Running })
		})
	}
}
