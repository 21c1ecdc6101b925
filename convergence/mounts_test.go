package convergence

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
)

// newUsedAgent returns an agent that owns the volume data, called pgdata.
func newUsedAgent(t *testing.T) (*Agent, *shelf) {
	t.Helper()
	a, h := newVolumeAgent(t)
	if err := h.Create(t.Context(), data, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	a.setAssignment(ownsData("a"))
	return a, h
}

func ownsData(node cluster.NodeID) cluster.Assignment {
	return cluster.Assignment{Node: node, Nodes: []cluster.Node{{ID: "b", Name: "node-b"}}, Volumes: []cluster.OwnedVolume{{
		Volume: cluster.Volume{ID: data, Name: "pgdata"}, Ownership: cluster.Ownership{Volume: data, Owner: node, Epoch: 1, Created: true}}}}
}

// soon bounds a use that is to fail.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestAUseWaitsUntilTheVolumeIsOpen(t *testing.T) {
	a, h := newUsedAgent(t)
	if _, err := a.mounts.Use(soon(t), "pgdata", "m"); !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), "not open yet") {
		t.Errorf("a closed volume: %v", err)
	}
	if users := a.mounts.Users(data); len(users) != 0 {
		t.Errorf("a use that failed stays: %v", users)
	}
	opened := make(chan error, 1)
	time.AfterFunc(50*time.Millisecond, func() {
		_, err := h.Open(context.Background(), data, 1, "")
		opened <- err
	})
	path, err := a.mounts.Use(t.Context(), "pgdata", "m")
	if err != nil || path != h.Path(data) || <-opened != nil {
		t.Errorf("%q, %v", path, err)
	}
	s, _, err := a.state(t.Context())
	if err != nil || len(s.Volumes) != 1 || !slices.Equal(s.Volumes[0].Users, []string{"a container (mount m)"}) {
		t.Errorf("reported: %+v, %v", s.Volumes, err)
	}
}

func TestAUseOfWhatIsNotHere(t *testing.T) {
	a, h := newUsedAgent(t)
	if _, err := a.mounts.Use(t.Context(), "other", "m"); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("a volume of another node: %v", err)
	}
	// It leaves while the use waits.
	time.AfterFunc(50*time.Millisecond, func() { a.setAssignment(cluster.Assignment{Node: "a"}) })
	if _, err := a.mounts.Use(t.Context(), "pgdata", "m"); !errors.Is(err, cluster.ErrNotFound) || len(a.mounts.Users(data)) != 0 {
		t.Errorf("a volume that left: %v", err)
	}
	// Whether it left is not known.
	if _, err := h.Open(t.Context(), data, 1, ""); err != nil {
		t.Fatal(err)
	}
	a.setAssignment(ownsData("a"))
	if err := a.journal.Asking(cluster.Move{Volume: data, To: "b"}, "base"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.mounts.Use(t.Context(), "pgdata", "m"); !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "moving to node-b") {
		t.Errorf("a volume that may have left: %v", err)
	}
}

// TestAUsedVolumeStays: neither a move nor a deletion takes it away under a container, and nobody
// begins to use one that leaves.
func TestAUsedVolumeStays(t *testing.T) {
	a, h := newUsedAgent(t)
	if _, err := h.Open(t.Context(), data, 1, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := a.mounts.Use(t.Context(), "pgdata", "m"); err != nil {
		t.Fatal(err)
	}
	step := plan.Step{Volume: data}
	err := a.leave(step, cluster.Node{Name: "node-b"}, func() error { t.Error("handed off"); return nil })
	var refused *handoff.Error
	if !errors.As(err, &refused) || !refused.Final || !strings.Contains(err.Error(), "in use on  by a container (mount m)") {
		t.Errorf("a hand-off: %v", err)
	}
	if err := a.closeVolume(t.Context(), step); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("a close: %v", err)
	}
	if err := a.mounts.Release("m", ""); err != nil {
		t.Fatal(err)
	}
	err = a.leave(step, cluster.Node{Name: "node-b"}, func() error {
		_, err := a.mounts.Use(t.Context(), "pgdata", "n")
		return err
	})
	if !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "pgdata is moving to node-b") {
		t.Errorf("a use during a hand-off: %v", err)
	}
	a.Runtime = aloneHost{}
	if err := a.closeVolume(t.Context(), step); err != nil {
		t.Error(err)
	}
}

// TestAUseThatFailsTakesBackItsOwn: the engine mounts again for a container that runs.
func TestAUseThatFailsTakesBackItsOwn(t *testing.T) {
	a, h := newUsedAgent(t)
	open := func() error { _, err := h.Open(t.Context(), data, 1, ""); return err }
	if err := open(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.mounts.Use(t.Context(), "pgdata", "m"); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	if _, err := a.mounts.Use(soon(t), "pgdata", "m"); err == nil || len(a.mounts.Users(data)) != 1 {
		t.Errorf("a second use of a volume that is closed: %v; used by %v", err, a.mounts.Users(data))
	}
	if err := errors.Join(open(), a.mounts.Release("m", "")); err != nil || len(a.mounts.Users(data)) != 0 {
		t.Errorf("the first one ended: %v; used by %v", err, a.mounts.Users(data))
	}
}

// TestAUseThatIsEndedWhileItWaits is taken again: there is no path without one.
func TestAUseThatIsEndedWhileItWaits(t *testing.T) {
	a, h := newUsedAgent(t)
	ended := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() {
		released := a.mounts.Release("m", "")
		_, err := h.Open(context.Background(), data, 1, "")
		ended <- errors.Join(released, err)
	})
	if _, err := a.mounts.Use(t.Context(), "pgdata", "m"); err != nil || <-ended != nil {
		t.Fatal(err)
	}
	if users := a.mounts.Users(data); len(users) != 1 {
		t.Errorf("it has the path, and the volume is used by %v", users)
	}
}

// A bystander is an engine with one container, which uses a volume.
type bystander struct{}

func (bystander) Containers(context.Context) ([]runtime.Container, error) {
	return []runtime.Container{{ID: "1", Name: "web", Volumes: []string{"pgdata"}, Running: true}}, nil
}

// TestReportsAndTheEngineDoNotWaitForEachOther: the agent and its book of uses have a lock each.
func TestReportsAndTheEngineDoNotWaitForEachOther(t *testing.T) {
	a, _ := newUsedAgent(t)
	a.mounts.Engine = bystander{}
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 500 {
				a.mounts.Refresh(t.Context())
			}
		})
		group.Go(func() {
			for range 500 {
				if _, _, err := a.state(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); group.Wait() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("they wait for each other")
	}
	if users := a.mounts.Users(data); !slices.Equal(users, []string{"container web"}) {
		t.Errorf("used by %v", users)
	}
}

// TestAVolumeIsKnownByNameAndById: it has one page, and that one name.
func TestAVolumeIsKnownByNameAndById(t *testing.T) {
	a, h := newUsedAgent(t)
	if _, err := h.Open(t.Context(), data, 1, ""); err != nil {
		t.Fatal(err)
	}
	for mount, name := range map[string]string{"m": "pgdata", "n": string(data)} {
		if _, err := a.mounts.Use(t.Context(), name, mount); err != nil {
			t.Fatal(err)
		}
	}
	for _, mount := range []string{"m", "n"} {
		if err := a.mounts.Release(mount, ""); err != nil {
			t.Error(err)
		}
	}
	if users := a.mounts.Users(data); len(users) != 0 {
		t.Errorf("both have ended, and it is used by %v", users)
	}
}

// A deaf runtime does not say what runs.
type deaf struct{ runtime.Runtime }

func (deaf) Instances(context.Context) ([]runtime.Instance, error) {
	return nil, cluster.ErrUnavailable
}

// TestVolumesAreOpenedForAnEngineThatStarts: it may wait for them before it answers.
func TestVolumesAreOpenedForAnEngineThatStarts(t *testing.T) {
	a, _ := newUsedAgent(t)
	a.Runtime = deaf{}
	a.pass(t.Context())
	if _, err := a.mounts.Use(t.Context(), "pgdata", "m"); err != nil {
		t.Error(err)
	}
	a.executor.Wait()
	if s, _, err := a.state(t.Context()); err == nil {
		t.Errorf("what runs is not known, and this is reported: %+v", s)
	}
}
