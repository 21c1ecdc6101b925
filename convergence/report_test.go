package convergence

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/volume"
)

// A service answers agents and gateways: it can be away, and counts.
type service struct {
	Control
	away        atomic.Bool
	registered  atomic.Int32
	forgot      atomic.Bool // the reports
	mu          sync.Mutex
	reports     []cluster.NodeState
	beats       []uint64
	assignments chan cluster.Assignment
}

var errAway = errors.New("connection refused")

func (s *service) Register(context.Context, cluster.Node) error {
	if s.away.Load() {
		return errAway
	}
	s.registered.Add(1)
	return nil
}

func (s *service) Assignment(ctx context.Context, _ cluster.NodeID, since cluster.Revision, wait time.Duration) (cluster.Assignment, bool, error) {
	select {
	case a := <-s.assignments:
		return a, a.Revision != since, nil
	case <-time.After(wait):
		if s.away.Load() {
			return cluster.Assignment{}, false, errAway
		}
		return cluster.Assignment{}, false, nil
	case <-ctx.Done():
		return cluster.Assignment{}, false, ctx.Err()
	}
}

func (s *service) Report(_ context.Context, state cluster.NodeState) error {
	if s.away.Load() {
		return errAway
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, state)
	return nil
}

// heard returns the reports and the heartbeats until now.
func (s *service) heard() ([]cluster.NodeState, []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reports), slices.Clone(s.beats)
}

func (s *service) Heartbeat(_ context.Context, _ cluster.NodeID, b wire.Heartbeat) error {
	s.mu.Lock()
	s.beats = append(s.beats, b.Sequence)
	s.mu.Unlock()
	if s.forgot.Swap(false) {
		return cluster.ErrStale
	}
	return nil
}

// TestANodeThatHasNothingToSaySaysSo, in the rhythm that it promised, and all anew to who does not know it.
func TestANodeThatHasNothingToSaySaysSo(t *testing.T) {
	a, _ := newVolumeAgent(t)
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		a.Control, a.Runtime = s, aloneHost{}
		a.report = make(signal, 1)
		ctx, stop := context.WithCancel(t.Context())
		go a.reportChanges(ctx)
		go a.beat(ctx)
		time.Sleep(2*heartbeat + 3*time.Second)
		synctest.Wait()
		if _, beats := s.heard(); len(beats) != 0 {
			t.Errorf("heartbeats before the first report: %v", beats)
		}
		a.report.send()
		time.Sleep(2 * heartbeat)
		synctest.Wait()
		if reports, beats := s.heard(); len(reports) != 1 || reports[0].Every != heartbeat || !slices.Equal(beats, []uint64{1, 1}) {
			t.Errorf("reports %+v, then heartbeats of %v, want two of the first", reports, beats)
		}
		s.forgot.Store(true)
		time.Sleep(2 * heartbeat)
		synctest.Wait()
		if reports, beats := s.heard(); len(reports) != 2 || !slices.Equal(beats, []uint64{1, 1, 1, 2}) {
			t.Errorf("%d reports, heartbeats of %v: the second report is of what was forgotten", len(reports), beats)
		}
		stop()
		synctest.Wait()
	})
}

// TestWhatCannotBeSaidIsNotSaidToHold: a node of which a report does not arrive is not in touch by what it said before.
func TestWhatCannotBeSaidIsNotSaidToHold(t *testing.T) {
	a, _ := newVolumeAgent(t)
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		a.Control, a.Runtime = s, aloneHost{}
		a.report = make(signal, 1)
		ctx, stop := context.WithCancel(t.Context())
		go a.reportChanges(ctx)
		go a.beat(ctx)
		a.report.send()
		time.Sleep(3 * heartbeat)
		s.away.Store(true)
		a.reportAnew()
		synctest.Wait()
		_, before := s.heard()
		time.Sleep(3 * heartbeat)
		if _, beats := s.heard(); len(before) == 0 || len(beats) != len(before) {
			t.Errorf("%d heartbeats before a report failed, %d after", len(before), len(beats))
		}
		s.away.Store(false)
		time.Sleep(3 * heartbeat)
		if reports, beats := s.heard(); len(beats) == len(before) || beats[len(beats)-1] != reports[len(reports)-1].Sequence {
			t.Errorf("heartbeats of %v after the reports %+v", beats, reports)
		}
		stop()
		synctest.Wait()
	})
}

// TestAStateIsReportedWhenItChanges, and again to a control service that was away.
func TestAStateIsReportedWhenItChanges(t *testing.T) {
	a, h := newVolumeAgent(t)
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		a.Control, a.Runtime = s, aloneHost{}
		a.report = make(signal, 1)
		ctx, stop := context.WithCancel(t.Context())
		go a.reportChanges(ctx)
		look := func(why string, want int) {
			t.Helper()
			a.report.send()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if reports, _ := s.heard(); len(reports) != want {
				t.Errorf("%s: %d reports, want %d", why, len(reports), want)
			}
		}
		look("the first one", 1)
		look("nothing has changed", 1)
		if err := h.Create(ctx, data, volume.Options{}); err != nil {
			t.Fatal(err)
		}
		look("a volume is new", 2)
		s.away.Store(true)
		if err := h.Remove(ctx, data); err != nil {
			t.Fatal(err)
		}
		look("nobody hears it", 2)
		s.away.Store(false)
		look("somebody does again", 3)
		stop()
		synctest.Wait()
	})
}

// TestAnAgentRegistersAgain with a control service that was away, and keeps what that says.
func TestAnAgentRegistersAgain(t *testing.T) {
	a, _ := newVolumeAgent(t)
	synctest.Test(t, func(t *testing.T) {
		s := &service{assignments: make(chan cluster.Assignment)}
		a.Control, a.wake, a.report, a.keep = s, make(signal, 1), make(signal, 1), make(signal, 1)
		ctx, stop := context.WithCancel(t.Context())
		go a.watch(ctx)
		go a.keepAssignments(ctx)
		s.assignments <- cluster.Assignment{Revision: 7, Node: "a", Routes: []cluster.Route{{External: 80, Application: "web"}}}
		synctest.Wait()
		if kept, ok, err := loadAssignment(a.Dir); err != nil || !ok || kept.Revision != 7 {
			t.Errorf("kept: %+v, %t, %v", kept, ok, err)
		}
		if routes := LastRoutes(a.Dir, "a"); len(routes) != 1 || len(LastRoutes(a.Dir, "b")) != 0 {
			t.Errorf("the routes at the next start are %v", routes)
		}
		s.away.Store(true)
		time.Sleep(time.Minute)
		s.away.Store(false)
		time.Sleep(time.Minute)
		if got, known := a.heard(); s.registered.Load() != 2 || !known || got.Revision != 7 {
			t.Errorf("registered %d times; it goes by %+v, %t", s.registered.Load(), got, known)
		}
		stop()
		synctest.Wait()
	})
}

// TestAGatewayRoutes, and keeps the routes while the control service is away.
func TestAGatewayRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, applied := &service{assignments: make(chan cluster.Assignment)}, make(routing, 10)
		g := &Gateway{Node: cluster.Node{ID: "g"}, Control: s, Routes: applied, Log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		go g.Run(ctx)
		s.assignments <- cluster.Assignment{Revision: 3, Routes: []cluster.Route{{External: 80}}}
		synctest.Wait()
		if reports, _ := s.heard(); len(applied) != 1 || len(reports) != 1 || reports[0].Seen != 3 {
			t.Errorf("%d tables were applied, reports %+v", len(applied), reports)
		}
		s.away.Store(true)
		time.Sleep(time.Minute)
		s.away.Store(false)
		time.Sleep(10 * time.Second)
		if len(applied) != 1 || s.registered.Load() != 2 {
			t.Errorf("%d tables were applied, registered %d times", len(applied), s.registered.Load())
		}
		stop()
		synctest.Wait()
	})
}

// crowd is a membership.
type crowd struct {
	peers   map[cluster.NodeID]string
	changed chan struct{}
}

func (c *crowd) SetPeers(peers map[cluster.NodeID]string) { c.peers = peers }
func (c *crowd) Missing() []cluster.NodeID                { return []cluster.NodeID{"b"} }
func (c *crowd) Changed() <-chan struct{}                 { return c.changed }
func (c *crowd) Rival() string                            { return "" }

// TestMembershipIsToldOfTheOthers that speak it, and what it sees is reported.
func TestMembershipIsToldOfTheOthers(t *testing.T) {
	a, _ := newVolumeAgent(t)
	c := &crowd{}
	a.Members = c
	a.setAssignment(cluster.Assignment{Node: "a", Nodes: []cluster.Node{{ID: "a", GossipAddress: "1"}, {ID: "b", GossipAddress: "2"}, {ID: "old"}}})
	if len(c.peers) != 1 || c.peers["b"] != "2" {
		t.Errorf("told of %v", c.peers)
	}
	if s, _, err := a.state(t.Context()); err != nil || !slices.Equal(s.Missing, []cluster.NodeID{"b"}) {
		t.Errorf("reported %v, %v", s.Missing, err)
	}
}

// TestWhatABackendCannotIsSaid, as what it is: the control service should have seen to that before.
func TestWhatABackendCannotIsSaid(t *testing.T) {
	a, h := newVolumeAgent(t)
	a.Backend = struct{ volume.Backend }{h}
	for what, do := range map[string]func(context.Context, plan.Step) error{
		"roll back": a.rollbackVolume, "label": a.labelVolume, "restore": a.restoreVolume, "resize": a.resizeVolume,
	} {
		if err := do(t.Context(), plan.Step{Volume: data}); !errors.Is(err, cluster.ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAWishIsCarriedOut by the steps that the plan has for it: another size, a snapshot, and the way back to it.
func TestAWishIsCarriedOut(t *testing.T) {
	a, h := newVolumeAgent(t)
	a.Runtime = aloneHost{}
	if err := h.Create(t.Context(), data, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	assignment := ownsData("a")
	v := &assignment.Volumes[0].Volume
	settle := func() volume.Copy {
		for range 6 {
			a.setAssignment(assignment)
			a.pass(t.Context())
			a.executor.Wait()
		}
		c, err := volume.Find(t.Context(), h, data)
		if err != nil || len(a.executor.Failures()) != 0 {
			t.Fatal(err, a.executor.Failures())
		}
		return c
	}
	v.MaximumSize = 1 << 20
	v.Snapshots = []cluster.SnapshotRequest{{Name: "kept", Epoch: 1}}
	if c := settle(); c.MaximumSize != 1<<20 || len(c.Snapshots) != 1 || !c.Open {
		t.Errorf("it is %+v", c)
	}
	if err := h.Write(data, "f", []byte("later")); err != nil {
		t.Fatal(err)
	}
	v.Rollback = &cluster.RollbackRequest{ID: "back", Snapshot: "kept", Epoch: 1}
	c := settle()
	files, err := h.Read(data)
	if err != nil || c.Rollback != "back" || !c.Open || files["f"] != nil {
		t.Errorf("it is %+v with %v, %v", c, files, err)
	}
}
