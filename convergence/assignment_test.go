package convergence

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/powercut"
)

func TestTheLastAssignmentIsKept(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := loadAssignment(dir); ok || err != nil {
		t.Errorf("an assignment from nowhere: %v", err)
	}
	want := cluster.Assignment{Revision: 7, Node: "a", Routes: []cluster.Route{{External: 80, Mode: cluster.Forward}}}
	if _, err := saveAssignment(dir, want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := loadAssignment(dir)
	if err != nil || !ok || got.Revision != 7 || got.Node != "a" || len(got.Routes) != 1 {
		t.Errorf("kept %+v, %v, %v", got, ok, err)
	}
}

// TestNoFormerAssignmentIsKept on a full disk: the newest is, or none.
func TestNoFormerAssignmentIsKept(t *testing.T) {
	disk := powercut.New(t, "ext4", 128<<20)
	dir := disk.Path()
	save := func(revision cluster.Revision, routes int) (again bool, err error) {
		defer powercut.Fill(t, dir)
		return saveAssignment(dir, cluster.Assignment{Revision: revision, Node: "a", Routes: make([]cluster.Route, routes)})
	}
	want := func(revision cluster.Revision) {
		t.Helper()
		if got, ok, err := loadAssignment(dir); err != nil || ok != (revision > 0) || got.Revision != revision {
			t.Errorf("kept is revision %d, %t, %v; want %d", got.Revision, ok, err, revision)
		}
	}
	const many = 400 // are more than an ordinary spare has room for
	for revision := range cluster.Revision(4) {
		if _, err := save(revision+1, many); err != nil {
			t.Error(err)
		}
		want(revision + 1)
	}
	if again, err := save(5, 4*many); err == nil || !again {
		t.Errorf("it had no space: %t, %v", again, err)
	}
	want(0)
	if again, err := save(6, many); err != nil || again {
		t.Errorf("the space was given up: %t, %v", again, err)
	}
	want(6)
	if err := os.RemoveAll(filepath.Join(dir, "filled")); err != nil {
		t.Fatal(err)
	}
	if again, err := save(7, 4*many); err != nil || again {
		t.Errorf("there is room: %t, %v", again, err)
	}
	want(7)
}

// TestAnAssignmentIsKeptWhenThereIsRoom again, though it is the same one.
func TestAnAssignmentIsKeptWhenThereIsRoom(t *testing.T) {
	disk := powercut.New(t, "ext4", 128<<20)
	a, _ := newVolumeAgent(t)
	a.Dir = disk.Path()
	powercut.Fill(t, a.Dir)
	synctest.Test(t, func(t *testing.T) {
		a.setAssignment(cluster.Assignment{Revision: 7, Node: "a"})
		ctx, stop := context.WithCancel(t.Context())
		a.keep = make(signal, 1)
		go a.keepAssignments(ctx)
		look := func(want bool) {
			t.Helper()
			synctest.Wait()
			if _, kept, err := loadAssignment(a.Dir); kept != want || err != nil {
				t.Errorf("kept: %t, %v; want %t", kept, err, want)
			}
		}
		a.keep.send()
		look(false)
		if err := os.RemoveAll(filepath.Join(a.Dir, "filled")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(tick)
		look(true)
		stop()
		synctest.Wait()
	})
}
