package convergence

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
)

// TestAgentsActOnWhatIsTheirs: a route, a node or a key that changes is no reason to look at all that the
// node has.
func TestAgentsActOnWhatIsTheirs(t *testing.T) {
	told := func(edit func(a *cluster.Assignment)) cluster.Assignment {
		a := cluster.Assignment{Revision: 9, Own: 5, Node: "a", Applications: []cluster.Application{{Name: "web"}}, Routes: []cluster.Route{{External: 80}}}
		edit(&a)
		return a
	}
	for _, row := range []struct {
		rule string
		next cluster.Assignment
		acts bool
	}{
		{"a route", told(func(a *cluster.Assignment) { a.Routes = []cluster.Route{{External: 81}} }), false},
		{"a node", told(func(a *cluster.Assignment) { a.Nodes = []cluster.Node{{ID: "b"}} }), false},
		{"a key", told(func(a *cluster.Assignment) { a.Keys = []cluster.UserKey{{Name: "me"}} }), false},
		{"an application", told(func(a *cluster.Assignment) { a.Own, a.Applications = 9, nil }), true},
		{"what is asked is asked anew, and is to be confirmed", told(func(a *cluster.Assignment) { a.Own = 9 }), true},
		{"somebody wants to read its logs", told(func(a *cluster.Assignment) { a.Logs = []cluster.LogRequest{{Application: "web"}} }), true},
		{"the node was removed", told(func(a *cluster.Assignment) { a.Removed = true }), true},
		{"a control service of an earlier version waits for the whole revision", told(func(a *cluster.Assignment) { a.Own = 0 }), true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			a, _ := newVolumeAgent(t)
			a.wake = make(signal, 1)
			woken := func() bool {
				select {
				case <-a.wake:
					return true
				default:
					return false
				}
			}
			first := told(func(a *cluster.Assignment) { a.Revision = 7 })
			a.setAssignment(first)
			if !woken() {
				t.Error("it does not act on the first one")
			}
			a.setAssignment(row.next)
			if acts := woken(); acts != row.acts {
				t.Errorf("it acts: %t", acts)
			}
			if now, _ := a.heard(); now.Revision != 9 {
				t.Errorf("it goes by revision %d", now.Revision)
			}
		})
	}
}

// TestOnceASecondRoutesAreKept at most; what else there is at once.
func TestOnceASecondRoutesAreKept(t *testing.T) {
	a, _ := newVolumeAgent(t)
	synctest.Test(t, func(t *testing.T) {
		a.keep = make(signal, 1)
		ctx, stop := context.WithCancel(t.Context())
		go a.keepAssignments(ctx)
		writes, last := 0, os.FileInfo(nil)
		next := func(assignment cluster.Assignment) {
			t.Helper()
			a.setAssignment(assignment)
			a.keep.send()
			synctest.Wait()
			is, err := os.Stat(filepath.Join(a.Dir, assignmentFile))
			if err != nil {
				t.Fatal(err)
			}
			if last == nil || !os.SameFile(last, is) {
				writes++
			}
			last = is
		}
		kept := func(revision cluster.Revision) {
			t.Helper()
			if is, _, err := loadAssignment(a.Dir); err != nil || is.Revision != revision {
				t.Errorf("kept is revision %d, %v; want %d", is.Revision, err, revision)
			}
		}
		for revision := range cluster.Revision(100) { // in two seconds
			next(cluster.Assignment{Revision: 1 + revision, Own: 1, Node: "a", Routes: []cluster.Route{{External: int(1 + revision)}}})
			time.Sleep(20 * time.Millisecond)
		}
		if writes < 2 || writes > 3 {
			t.Errorf("it was written %d times", writes)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		kept(100)
		next(cluster.Assignment{Revision: 101, Own: 1, Node: "a"})
		next(cluster.Assignment{Revision: 102, Own: 1, Node: "a", Keys: []cluster.UserKey{{Name: "me"}}})
		kept(102)
		next(cluster.Assignment{Revision: 103, Own: 103, Node: "a"})
		kept(103)
		next(cluster.Assignment{Revision: 103, Node: "a", Removed: true})
		if is, _, err := loadAssignment(a.Dir); err != nil || !is.Removed {
			t.Errorf("that it was removed is not kept: %+v, %v", is, err)
		}
		stop()
		synctest.Wait()
	})
}

// TestAReportSaysUntilWhenItWasRight: the next heartbeat says that nothing changed with what the node was told.
func TestAReportSaysUntilWhenItWasRight(t *testing.T) {
	a, _ := newVolumeAgent(t)
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		a.Control, a.Runtime, a.report, a.Members = s, aloneHost{}, make(signal, 1), &crowd{}
		ctx, stop := context.WithCancel(t.Context())
		go a.reportChanges(ctx)
		for revision := range cluster.Revision(3) {
			a.setAssignment(cluster.Assignment{Revision: 10 + revision, Own: 4, Node: "a"})
			a.report.send()
			synctest.Wait()
			reports, _ := s.heard()
			if len(reports) != 1 || reports[0].Told != 10 {
				t.Fatalf("it reported %+v", reports)
			}
			a.mu.Lock()
			if is := a.told.reported; is.Sequence != 1 || is.Told != 10+revision {
				t.Errorf("the next heartbeat is %+v", is)
			}
			a.mu.Unlock()
		}
		stop()
		synctest.Wait()
	})
}
