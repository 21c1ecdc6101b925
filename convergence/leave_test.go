package convergence

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/runtime/process"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// A sender is an agent that runs real processes on real volumes and has one volume to hand off, and the
// control service that it asks.
type sender struct {
	Control
	t        *testing.T
	agent    *Agent
	to       volume.Backend
	pipe     *transfermem.Transport
	mu       sync.Mutex
	failures []wire.FailureReport
	events   []cluster.Event
	commits  int
	ended    chan struct{} // closed by the first of either
}

// newSender returns one that owns a volume, on which that command is to run for ever.
func newSender(t *testing.T, disk func(volume.Backend) volume.Backend, command ...string) *sender {
	t.Helper()
	backend := func(name string) volume.Backend {
		b, err := dir.Open(filepath.Join(t.TempDir(), name), dir.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Shut() })
		return b
	}
	apps, err := process.Open(process.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = apps.Kill(context.WithoutCancel(t.Context()), "db") // it may not run
		apps.Close()
	})
	s := &sender{t: t, to: backend("b"), ended: make(chan struct{})}
	s.pipe = &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": s.to}}
	s.agent = &Agent{Node: cluster.Node{ID: "a", Name: "node-a", Address: "127.0.0.1"}, Backend: disk(backend("a")), Runtime: apps, Transport: s.pipe,
		Control: s, Routes: noRoutes{}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Handoff: handoff.Options{MaxRounds: 1}}
	if err := s.agent.Start(); err != nil {
		t.Fatal(err)
	}
	assignment := ownsData("a")
	assignment.Nodes[0].Backend = "dir"
	assignment.Volumes[0] = cluster.OwnedVolume{Volume: cluster.Volume{ID: longID, Name: "pgdata"},
		Ownership: cluster.Ownership{Volume: longID, Owner: "a", Epoch: 1}, Application: "db"}
	assignment.Applications = []cluster.Application{{Name: "db", Command: command,
		Volume: &cluster.Attachment{Volume: longID, Mountpoint: "/data"}, Restart: cluster.RestartPolicy{Name: cluster.RestartAlways},
		Stop: cluster.StopPolicy{Timeout: 2 * time.Second}}}
	s.agent.setAssignment(assignment)
	running, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.agent.converge(running) }()
	t.Cleanup(func() {
		stop()
		<-done
		s.agent.executor.Wait()
	})
	return s
}

func whole(b volume.Backend) volume.Backend { return b }

// A full disk has no room for what users ask to be kept.
type full struct{ volume.Backend }

func (f full) Unwrap() volume.Backend { return f.Backend }

func (f full) Snapshot(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName, kept bool) (cluster.Snapshot, error) {
	if kept {
		return cluster.Snapshot{}, syscall.ENOSPC
	}
	return f.Backend.Snapshot(ctx, id, name, kept)
}

// move has the agent hand its volume off.
func (s *sender) move() {
	s.changes(func(a *cluster.Assignment) {
		a.Moves = []cluster.Move{{ID: "m", Volume: longID, From: "a", To: "b", Epoch: 1, Phase: cluster.PhasePrepare, Ready: true, Attempt: 1}}
	})
}

func (s *sender) end() {
	if len(s.failures)+s.commits == 1 {
		close(s.ended)
	}
}

func (s *sender) Progress(context.Context, cluster.MoveID, wire.ProgressReport) error { return nil }

func (s *sender) Hold(context.Context, cluster.MoveID, wire.AttemptRequest) (wire.HoldResult, error) {
	return wire.HoldResult{}, nil
}

func (s *sender) Commit(_ context.Context, _ cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error) {
	if c, there := s.copy(); s.db().Running || there && c.Open {
		s.t.Errorf("one writer: the commit is asked for while db runs here (%t) on %+v", s.db().Running, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	s.end()
	return cluster.Ownership{Volume: longID, Owner: "b", Epoch: 2, Base: r.Base}, nil
}

func (s *sender) Failed(_ context.Context, _ cluster.MoveID, r wire.FailureReport) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, r)
	s.end()
	return nil
}

func (s *sender) Record(_ context.Context, e cluster.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return nil
}

func (s *sender) recorded(kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.events, func(e cluster.Event) bool { return e.Kind == kind })
}

// await waits until something is so.
func (s *sender) await(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("it is not so that %s; failures %+v, reports %+v", what, s.agent.executor.Failures(), s.failures)
		}
	}
}

// db returns the application as it runs, or the zero value.
func (s *sender) db() runtime.Instance {
	all, err := s.agent.Runtime.Instances(context.WithoutCancel(s.t.Context()))
	if i := slices.IndexFunc(all, func(i runtime.Instance) bool { return i.Name == "db" && i.Running }); err == nil && i >= 0 {
		return all[i]
	}
	return runtime.Instance{}
}

// crash kills it, as nobody asked for.
func (s *sender) crash() {
	s.t.Helper()
	if err := syscall.Kill(s.pid(), syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
}

// pid is what the application has written when it was ready.
func (s *sender) pid() (pid int) {
	s.t.Helper()
	s.await("it has said its pid", func() bool {
		var err error
		pid, err = s.said()
		return err == nil
	})
	return pid
}

// said is the pid that the application wrote last, if it is still its own.
func (s *sender) said() (pid int, err error) {
	path := s.agent.Backend.Path(longID)
	text, err := os.ReadFile(filepath.Join(path, "pid"))
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && cwd != path {
		err = fmt.Errorf("process %d works in %q", pid, cwd)
	}
	return pid, err
}

// over waits until the control service knows how the move ended.
func (s *sender) over() {
	s.t.Helper()
	s.await("the move has ended", func() bool {
		select {
		case <-s.ended:
			return true
		default:
			return false
		}
	})
}

// changes has the control service say something else.
func (s *sender) changes(change func(*cluster.Assignment)) {
	assignment, _ := s.agent.heard()
	assignment.Volumes = slices.Clone(assignment.Volumes)
	assignment.Moves = slices.Clone(assignment.Moves)
	change(&assignment)
	s.agent.setAssignment(assignment)
}

func (s *sender) copy() (volume.Copy, bool) {
	c, err := volume.Find(context.WithoutCancel(s.t.Context()), s.agent.Backend, longID)
	return c, err == nil
}

func (s *sender) moved() {
	s.t.Helper()
	s.over()
	if s.commits != 1 {
		s.t.Fatalf("it was not committed: %+v", s.failures)
	}
	s.await("nothing runs here any more", func() bool { return !s.db().Running })
}

// TestWhatCrashesWhileItIsShippedIsStartedAgain at once, and not when the move is over.
func TestWhatCrashesWhileItIsShippedIsStartedAgain(t *testing.T) {
	s := newSender(t, whole, "/bin/sh", "-c", "echo $$ > pid; while :; do sleep 0.05; done")
	s.await("it runs", func() bool { return s.db().Running })
	shipping, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	first := sync.OnceFunc(func() { close(shipping); <-goOn })
	s.pipe.Fail = func(volume.Delta) error { first(); return nil }
	s.move()
	<-shipping
	before := s.db()
	s.crash()
	s.await("it has been started again while its volume is shipped", func() bool { now := s.db(); return now.Running && now.Started.After(before.Started) })
	release()
	s.moved()
}

// TestWhatCannotStartCanBeMovedAway.
func TestWhatCannotStartCanBeMovedAway(t *testing.T) {
	s := newSender(t, whole, "/no/such/program")
	s.await("it cannot start", func() bool { _, failed := s.agent.executor.Failure(string(longID)); return failed })
	s.move()
	s.moved()
}

// TestAFailingUpkeepKeepsNothingFromLeaving: there is no room for a snapshot that a user asked for.
func TestAFailingUpkeepKeepsNothingFromLeaving(t *testing.T) {
	s := newSender(t, func(b volume.Backend) volume.Backend { return full{b} }, "/bin/sh", "-c", "while :; do sleep 0.05; done")
	s.await("it runs", func() bool { return s.db().Running })
	s.changes(func(a *cluster.Assignment) {
		a.Volumes[0].Volume.Snapshots = []cluster.SnapshotRequest{{Name: "new", Epoch: 1}}
	})
	s.await("the snapshot cannot be made", func() bool { _, failed := s.agent.executor.Failure(string(longID) + "/upkeep"); return failed })
	s.move()
	s.moved()
}
