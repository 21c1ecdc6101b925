package handoff_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

const id cluster.VolumeID = "volume"

// A stage is one hand-off with everything around it, which notes what happens in order.
type stage struct {
	t        *testing.T
	from, to *mem.Backend
	asking   bool // the journal's one fact
	events   []string
	runs     []runtime.Instance // on the source
	h        *handoff.Handoff

	// What the others do; nil is what should be.
	stop   func() error
	hold   func() error
	commit func(attempt int) error
	failed func() error
	asks   int
	proof  string        // of the commit
	epoch  cluster.Epoch // the record of ownership
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, from: mem.New(), to: mem.New(), epoch: 1,
		runs: []runtime.Instance{{Name: "db", Volume: id, Running: true}, {Name: "web", Running: true}}}
	if err := s.from.Create(t.Context(), id, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.from.Open(t.Context(), id, 1, ""); err != nil {
		t.Fatal(err)
	}
	s.write("before")
	s.h = &handoff.Handoff{
		Move:    cluster.Move{ID: "12345678-move", Volume: id, Application: "db", From: "a", To: "b", Epoch: 1, Attempt: 1},
		Target:  cluster.Node{ID: "b", Name: "b", Backend: "mem"},
		Backend: s.from, Runtime: app{stage: s}, Control: s, Journal: s,
		Transport: &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": s.to}},
		Log:       slog.New(slog.DiscardHandler),
	}
	return s
}

func (s *stage) note(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func (s *stage) write(name string) {
	s.t.Helper()
	if err := s.from.Write(id, name, []byte(name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) copy(b *mem.Backend) volume.Copy {
	s.t.Helper()
	c, err := volume.Find(s.t.Context(), b, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *stage) Progress(context.Context, cluster.MoveID, wire.ProgressReport) error { return nil }

func (s *stage) Hold(context.Context, cluster.MoveID, wire.AttemptRequest) (wire.HoldResult, error) {
	s.note("hold")
	if s.hold != nil {
		return wire.HoldResult{}, s.hold()
	}
	return wire.HoldResult{Holding: 3}, nil
}

func (s *stage) Commit(_ context.Context, _ cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error) {
	s.asks++
	s.proof = r.Stats.Proof
	if !s.asking {
		s.t.Error("a commit was asked for that the journal does not know of")
	}
	if c := s.copy(s.to); c.Head != r.Base || r.Base == "" {
		s.t.Errorf("the commit names snapshot %q, the target is at %q", r.Base, c.Head)
	}
	if s.copy(s.from).Open {
		s.t.Error("the commit was asked for while the source can still be written")
	}
	if s.commit != nil {
		if err := s.commit(s.asks); err != nil {
			return cluster.Ownership{}, err
		}
	}
	if s.epoch == r.Epoch {
		s.epoch++
		s.note("commit")
	}
	return cluster.Ownership{Volume: id, Owner: "b", Epoch: s.epoch, Base: r.Base}, nil
}

func (s *stage) Failed(_ context.Context, _ cluster.MoveID, r wire.FailureReport) error {
	s.note("failed")
	if s.failed != nil {
		return s.failed()
	}
	return nil
}

func (s *stage) Asking(_ cluster.Move, base string) error {
	if c := s.copy(s.to); c.Head != base {
		s.t.Errorf("the journal keeps the base %q, the target is at %q", base, c.Head)
	}
	s.asking = true
	s.note("asking")
	return nil
}

func (s *stage) Settled(cluster.VolumeID) error { s.asking = false; s.note("settled"); return nil }

// app is the application: it writes until it is stopped.
type app struct {
	runtime.Runtime
	stage *stage
}

func (a app) Instances(context.Context) ([]runtime.Instance, error) { return a.stage.runs, nil }

func (a app) Stop(_ context.Context, name cluster.AppName) error {
	if !slices.ContainsFunc(a.stage.runs, func(i runtime.Instance) bool { return i.Name == name && i.Volume == id }) {
		a.stage.t.Errorf("%s was stopped, which has nothing to do with the volume", name)
	}
	if a.stage.stop != nil {
		if err := a.stage.stop(); err != nil {
			return err
		}
	}
	a.stage.write("written while stopping")
	a.stage.note("stop")
	return nil
}

func (a app) Remove(context.Context, cluster.AppName) error { return nil }

func (s *stage) happened(want ...string) {
	s.t.Helper()
	if got := strings.Join(s.events, ", "); got != strings.Join(want, ", ") {
		s.t.Errorf("happened: %s\nwant:     %s", got, strings.Join(want, ", "))
	}
}

func TestHandOff(t *testing.T) {
	s := newStage(t)
	if err := s.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.happened("hold", "stop", "asking", "commit", "settled")
	files, err := s.to.Read(id)
	if err != nil || files["before"] == nil || files["written while stopping"] == nil {
		t.Errorf("the target holds %v, %v", files, err)
	}
	if c := s.copy(s.from); c.Role != cluster.Replica || c.Epoch != 2 {
		t.Errorf("the copy that stays is %+v", c)
	}
	if _, err := s.from.Open(t.Context(), id, 1, ""); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("the former owner could write again: %v", err)
	}
	if held := s.copy(s.from).Snapshots; len(held) != 1 {
		t.Errorf("%d snapshots stay, want the one that both sides hold", len(held))
	}
}

// TestRollBack breaks an attempt at each place before the commit: nothing is asked for, the
// volume stays this node's, and the error says whether trying again would help.
func TestRollBack(t *testing.T) {
	broken := errors.New("broken")
	for _, row := range []struct {
		rule  string
		setup func(*stage)
		final bool
		want  []string
	}{
		{"the first round fails", func(s *stage) {
			s.h.Transport.(*transfermem.Transport).Fail = func(volume.Delta) error { return broken }
		}, false, nil},
		{"the target is full", func(s *stage) {
			s.h.Transport.(*transfermem.Transport).Fail = func(volume.Delta) error { return fmt.Errorf("%w: disk full", cluster.ErrRefused) }
		}, true, nil},
		{"the control service does not answer the hold", func(s *stage) {
			s.hold = func() error { return fmt.Errorf("%w", cluster.ErrUnavailable) }
		}, false, []string{"hold"}},
		{"the application ignores its stop signal", func(s *stage) {
			s.stop = func() error { return runtime.ErrStillRunning }
		}, true, []string{"hold"}},
		{"the last round fails", func(s *stage) {
			s.h.Transport.(*transfermem.Transport).Fail = func(d volume.Delta) error {
				if strings.HasSuffix(string(d.To), "final") {
					return broken
				}
				return nil
			}
		}, false, []string{"hold", "stop"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s := newStage(t)
			row.setup(s)
			var failed *handoff.Error
			if err := s.h.Run(t.Context()); !errors.As(err, &failed) {
				t.Fatalf("got %v, want a *handoff.Error", err)
			}
			if failed.Final != row.final || failed.Acknowledged {
				t.Errorf("final %v, acknowledged %v: %v", failed.Final, failed.Acknowledged, failed)
			}
			s.happened(row.want...)
			if _, err := s.from.Open(t.Context(), id, 1, ""); err != nil {
				t.Errorf("the source cannot go on: %v", err)
			}
		})
	}
}

// away returns an error for the first minute.
func away(began time.Time, err error) error {
	if time.Since(began) < time.Minute {
		return err
	}
	return nil
}

// TestCommitIsAskedUntilItIsAnswered loses answers: whatever was carried out, both sides end up
// knowing it.
func TestCommitIsAskedUntilItIsAnswered(t *testing.T) {
	lost := fmt.Errorf("%w: connection reset", cluster.ErrUnavailable)
	for _, row := range []struct {
		rule   string
		setup  func(*stage)
		moved  bool
		failed bool // the control service was told that the attempt is over
	}{
		{"the first answers are lost, nothing was done", func(s *stage) {
			s.commit = func(n int) error {
				if n < 4 {
					return lost
				}
				return nil
			}
		}, true, false},
		{"it was done, and the answer was lost", func(s *stage) {
			s.commit = func(n int) error {
				if n == 1 {
					s.epoch++
					return lost
				}
				return nil
			}
		}, true, false},
		{"the move was aborted meanwhile", func(s *stage) {
			s.commit = func(int) error { return fmt.Errorf("%w: aborted", cluster.ErrConflict) }
		}, false, false},
		{"the target is away for too long: the attempt is withdrawn first", func(s *stage) {
			s.commit = func(int) error { return fmt.Errorf("%w: target not heard of", cluster.ErrUnavailable) }
		}, false, true},
		{"nobody answers for long, and then nobody knows of the move", func(s *stage) {
			gone := fmt.Errorf("%w: no such move", cluster.ErrNotFound)
			began := time.Now()
			s.failed = func() error { return cmp.Or(away(began, lost), gone) }
			s.commit = func(int) error { return cmp.Or(away(began, lost), gone) }
		}, false, true},
		{"it is too late to withdraw", func(s *stage) {
			withdrawn := false
			s.failed = func() error { withdrawn = true; return fmt.Errorf("%w: committed already", cluster.ErrConflict) }
			s.commit = func(int) error {
				if !withdrawn {
					return lost
				}
				return nil
			}
		}, true, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				row.setup(s)
				err := s.h.Run(t.Context())
				var failed *handoff.Error
				switch {
				case row.moved && err != nil:
					t.Fatalf("it moved, and the source says %v", err)
				case !row.moved && (!errors.As(err, &failed) || !failed.Acknowledged):
					t.Fatalf("got %v, want an acknowledged *handoff.Error", err)
				}
				if s.asking {
					t.Error("the journal still asks")
				}
				if told := strings.Contains(strings.Join(s.events, " "), "failed"); told != row.failed {
					t.Errorf("happened: %v", s.events)
				}
				_, err = s.from.Open(t.Context(), id, 1, "")
				if writable := err == nil; writable == row.moved {
					t.Errorf("moved %v, and the source can write: %v", row.moved, writable)
				}
			})
		})
	}
}

// TestAnUnansweredCommitStaysInTheJournal ends the agent while it asks: another one resolves it.
func TestAnUnansweredCommitStaysInTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.commit = func(int) error { return fmt.Errorf("%w", cluster.ErrUnavailable) }
		err := s.h.Run(ctx)
		var failed *handoff.Error
		if err == nil || errors.As(err, &failed) || !s.asking {
			t.Fatalf("got %v, asking %v: nobody knows the answer yet", err, s.asking)
		}
		s.commit = nil
		again := *s.h
		if err := again.Resolve(t.Context(), s.copy(s.to).Head); err != nil || s.asking {
			t.Errorf("resolve: %v, asking %v", err, s.asking)
		}
		if c := s.copy(s.from); c.Role != cluster.Replica {
			t.Errorf("the copy that stays is %+v", c)
		}
	})
}

func TestTheClientsAreHeldNoLongerThanPromised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.h.HoldPatience = 5 * time.Second
		s.h.Runtime = hanging{app{stage: s}}
		began := time.Now()
		if err := s.h.Run(t.Context()); err == nil {
			t.Fatal("it moved")
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("clients were held for %s", took)
		}
	})
}

// hanging is an application that never stops.
type hanging struct{ app }

func (hanging) Stop(ctx context.Context, _ cluster.AppName) error {
	<-ctx.Done()
	return ctx.Err()
}

// locked is a target whose copy could not be opened.
type locked struct{ *mem.Backend }

func (l locked) Copies(ctx context.Context) ([]volume.Copy, error) {
	copies, err := l.Backend.Copies(ctx)
	for i := range copies {
		copies[i].Obstacle = "its key is not loaded"
	}
	return copies, err
}

// TestATargetThatCouldNotOpen: that is found before the application is stopped, and may pass.
func TestATargetThatCouldNotOpen(t *testing.T) {
	s := newStage(t)
	s.h.Transport = &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": locked{s.to}}}
	var failed *handoff.Error
	if err := s.h.Run(t.Context()); !errors.As(err, &failed) || failed.Final || !strings.Contains(err.Error(), "its key is not loaded") {
		t.Fatalf("got %v", err)
	}
	if got := strings.Join(s.events, ", "); strings.Contains(got, "hold") || strings.Contains(got, "stop") {
		t.Errorf("clients were held, or the application stopped: %s", got)
	}
}
