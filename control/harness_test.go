package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
)

var (
	dbVolume  = cluster.VolumeIDForName("db")
	logVolume = cluster.VolumeIDForName("log")
)

// A reporter is a test, or one run of a property.
type reporter interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// A lab is a service with hosts, on fake time: it is used inside synctest.Test only.
type lab struct {
	t     reporter
	ctx   context.Context
	store *mem.Store
	*Service
	hosts map[cluster.NodeID]*host
	ahead *atomic.Int64 // by how much the clock of its host is
	stop  context.CancelFunc
}

// inLab runs a test with a service that is running, and hosts a, b and c that are registered.
func inLab(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, mem.New())
		for _, id := range []cluster.NodeID{"a", "b", "c"} {
			l.host(id)
		}
		defer l.close()
		test(t, l)
	})
}

func newLab(t reporter, s *mem.Store) *lab {
	l := &lab{t: t, ctx: context.Background(), store: s, hosts: map[cluster.NodeID]*host{}, ahead: new(atomic.Int64)}
	l.start(s)
	return l
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (l *lab) start(s store.Store) {
	l.t.Helper()
	svc, err := Open(l.ctx, s, Options{Log: quiet(), Version: "v", Cluster: "lab",
		Clock: func() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }})
	if err != nil {
		l.t.Fatal(err)
	}
	l.Service = svc
	ctx, cancel := context.WithCancel(l.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := svc.Run(ctx); !errors.Is(err, context.Canceled) {
			l.t.Errorf("run: %v", err)
		}
	}()
	l.stop = func() { cancel(); <-ended }
}

func (l *lab) close() {
	for _, h := range l.hosts {
		h.sleep()
	}
	l.stop()
}

// restart kills the service and starts another one on what the store holds.
func (l *lab) restart() {
	l.t.Helper()
	l.stop()
	l.store = l.store.Reopen()
	l.start(l.store)
	for _, h := range l.hosts {
		h.since = 0
	}
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) wantKind(err, kind error) {
	l.t.Helper()
	if !errors.Is(err, kind) {
		l.t.Errorf("got error %v, want one that is %q", err, kind)
	}
}

// configure edits the configuration and returns the moves that follow.
func (l *lab) configure(edit func(*cluster.Configuration)) []cluster.MoveID {
	l.t.Helper()
	doc, err := l.Edit(l.ctx, func(c *cluster.Configuration) error { edit(c); return nil })
	l.ok(err)
	return doc.Moves
}

// database is an application with a volume, placed on a node.
func database(node cluster.NodeID) func(*cluster.Configuration) {
	return func(c *cluster.Configuration) {
		v := c.Volumes[dbVolume]
		v.ID, v.Name, v.Primary = dbVolume, "db", node
		c.Volumes[dbVolume] = v
		c.Applications["db"] = cluster.Application{Name: "db", Image: "postgres", Node: node,
			Ports:  []cluster.Port{{Internal: 5432, External: 5432}},
			Volume: &cluster.Attachment{Volume: dbVolume, Mountpoint: "/data"}}
	}
}

// site is an application without a volume.
func site(node cluster.NodeID) func(*cluster.Configuration) {
	return func(c *cluster.Configuration) {
		c.Applications["site"] = cluster.Application{Name: "site", Image: "nginx", Node: node,
			Ports: []cluster.Port{{Internal: 80, External: 8080}}}
	}
}

// runDatabase brings db up on a.
func (l *lab) runDatabase() {
	l.t.Helper()
	l.configure(database("a"))
	l.host("a").act()
}

// move returns the newest move on record.
func (l *lab) newest() cluster.Move {
	l.t.Helper()
	moves := l.Moves()
	if len(moves) == 0 {
		l.t.Fatal("there is no move")
	}
	return slices.MaxFunc(moves, func(a, b cluster.Move) int { return a.Requested.Compare(b.Requested) })
}

func (l *lab) wantPhase(want cluster.Phase) cluster.Move {
	l.t.Helper()
	m := l.newest()
	if m.Phase != want {
		l.t.Fatalf("the move is in phase %q (%s), want %q", m.Phase, m.Reason, want)
	}
	return m
}

func (l *lab) wantOwner(node cluster.NodeID, epoch cluster.Epoch) {
	l.t.Helper()
	v, err := l.Volume("db")
	l.ok(err)
	if v.Ownership.Owner != node || v.Ownership.Epoch != epoch {
		l.t.Errorf("db is owned by %q at epoch %d, want %q at %d", v.Ownership.Owner, v.Ownership.Epoch, node, epoch)
	}
}

// wantWish checks where the configuration wants db and its volume.
func (l *lab) wantWish(node cluster.NodeID) {
	l.t.Helper()
	c, _ := l.Configuration()
	if c.Volumes[dbVolume].Primary != node || c.Applications["db"].Node != node {
		l.t.Errorf("the configuration wants the volume on %q and the application on %q, want both on %q",
			c.Volumes[dbVolume].Primary, c.Applications["db"].Node, node)
	}
}

func (l *lab) route(external int) cluster.Route {
	l.t.Helper()
	for _, r := range l.Status().Routes {
		if r.External == external {
			return r
		}
	}
	return cluster.Route{}
}

func (l *lab) wantRoute(want cluster.Route) {
	l.t.Helper()
	if got := l.route(want.External); got != want {
		l.t.Errorf("route %d is\n%+v, want\n%+v", want.External, got, want)
	}
}

// wantEvent checks that an event of that kind was recorded that says all of words.
func (l *lab) wantEvent(kind string, words ...string) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.ctx)
	cancel()
	events, err := l.Events(ctx, 0)
	l.ok(err)
	for _, e := range events {
		if e.Kind == kind && containsAll(e.Message, words) {
			if strings.HasPrefix(e.Message, e.Kind+":") {
				l.t.Errorf("the event says its kind again: %q", e.Message)
			}
			return
		}
	}
	l.t.Errorf("no event %q that says %q in %v", kind, words, events)
}

func containsAll(s string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) })
}

// A host plays the agent of a node, one honest action at a time.
type host struct {
	lab   *lab
	id    cluster.NodeID
	state cluster.NodeState
	since cluster.Revision
	told  cluster.Position // as agents keep it on disk
	stop  func()
}

// host returns the host of that name, registering it first if it is new.
func (l *lab) host(id cluster.NodeID) *host {
	l.t.Helper()
	if l.hosts[id] == nil {
		h := &host{lab: l, id: id, state: cluster.NodeState{Node: id, Era: "1"}}
		l.hosts[id] = h
		h.register()
		h.report()
	}
	return l.hosts[id]
}

func (h *host) register() {
	h.lab.t.Helper()
	h.lab.ok(h.lab.Register(h.lab.ctx, h.node()))
}

func (h *host) node() cluster.Node {
	return cluster.Node{ID: h.id, Name: "node-" + string(h.id), Address: "10.0.0." + string(h.id),
		Era: h.state.Era, Backend: "dir", Runtime: "process", Told: h.told}
}

func (h *host) report() {
	h.lab.t.Helper()
	h.registerAnew()
	state := h.state
	state.Node, state.Applications, state.Volumes = h.id, slices.Clone(h.state.Applications), slices.Clone(h.state.Volumes)
	h.lab.ok(h.lab.Report(h.lab.ctx, state))
}

// assignment returns what the node is told now.
func (h *host) assignment() cluster.Assignment {
	h.lab.t.Helper()
	h.lab.mu.Lock()
	n := h.lab.sessions[h.id]
	unknown := n != nil && h.lab.unknown(n)
	h.lab.mu.Unlock()
	h.registerAnew()
	if unknown {
		h.report() // as agents do, at once: before, they are told nothing
	}
	assignment, err := h.lab.Assignment(h.lab.ctx, h.id, 0)
	h.lab.ok(err)
	h.since, h.told = assignment.Revision, assignment.Position()
	return assignment
}

// registerAnew registers if the service was started anew, as agents do once it refuses them for that.
func (h *host) registerAnew() {
	h.lab.t.Helper()
	h.lab.mu.Lock()
	n := h.lab.sessions[h.id]
	again := n != nil && !n.registered
	h.lab.mu.Unlock()
	if again {
		h.register()
	}
}

// act does at once all that the assignment asks for, and reports it.
func (h *host) act() {
	h.lab.t.Helper()
	for range 5 { // a report may lead to another assignment
		h.obey(h.assignment())
		h.report()
	}
}

func (h *host) obey(s cluster.Assignment) {
	old := h.state.Volumes
	h.state.Seen, h.state.Volumes, h.state.Applications = s.Revision, nil, nil
	epochs := map[cluster.VolumeID]cluster.Epoch{}
	for _, v := range s.Volumes {
		epochs[v.Volume.ID] = v.Ownership.Epoch
		c := cluster.Copy{Volume: v.Volume.ID, Role: cluster.Primary, Epoch: v.Ownership.Epoch, Open: true, UsedBytes: 1000}
		for _, wish := range v.Volume.Snapshots {
			c.Snapshots = append(c.Snapshots, cluster.Snapshot{Name: wish.Name, Kept: true})
		}
		h.state.Volumes = append(h.state.Volumes, c)
	}
	for _, c := range old {
		if _, owned := epochs[c.Volume]; !owned && !slices.Contains(s.Deleted, c.Volume) {
			c.Role, c.Open = cluster.Replica, false
			h.state.Volumes = append(h.state.Volumes, c)
		}
	}
	for _, a := range s.Applications {
		state := cluster.Instance{Name: a.Name, Running: true, Healthy: true, Endpoints: map[int]string{}}
		if a.Volume != nil {
			state.Epoch = epochs[a.Volume.Volume]
		}
		for _, p := range a.Ports {
			state.Endpoints[p.Internal] = fmt.Sprintf("%s:%d", h.id, p.Internal)
		}
		h.state.Applications = append(h.state.Applications, state)
	}
}

// wake lets the host poll for assignments in the background, as agents do; without acting on more
// than the routes.
func (h *host) wake() {
	ctx, cancel := context.WithCancel(h.lab.ctx)
	ended := make(chan struct{})
	svc, node := h.lab.Service, h.node()
	go func() {
		defer close(ended)
		var since cluster.Revision
		for ctx.Err() == nil {
			poll, done := context.WithTimeout(ctx, 5*time.Second)
			switch s, err := svc.Assignment(poll, h.id, since); {
			case err == nil:
				since = s.Revision
			case errors.Is(err, cluster.ErrUnavailable):
				_ = svc.Register(poll, node)
			}
			done()
		}
	}()
	h.stop = func() { cancel(); <-ended; h.stop = nil }
}

// sleep ends what wake began.
func (h *host) sleep() {
	if h.stop != nil {
		h.stop()
	}
}

// everyoneWakes keeps all hosts in touch for as long as the test lasts.
func (l *lab) everyoneWakes() {
	for _, id := range records.Sorted(l.hosts) {
		l.hosts[id].sleep()
		l.hosts[id].wake()
	}
	synctest.Wait()
}

// The calls of a move, by the honest source and target of m.

func (l *lab) ready(m cluster.Move) error {
	return l.Ready(l.ctx, m.To, m.ID, wire.ReadyReport{Attempt: m.Attempt})
}

func (l *lab) precopy(m cluster.Move) error {
	return l.Progress(l.ctx, m.From, m.ID, wire.ProgressReport{Attempt: m.Attempt, Phase: cluster.PhasePrecopy})
}

func (l *lab) hold(m cluster.Move) error {
	_, err := l.Hold(l.ctx, m.From, m.ID, wire.AttemptRequest{Attempt: m.Attempt})
	return err
}

func (l *lab) commit(m cluster.Move) error {
	_, err := l.Commit(l.ctx, m.From, m.ID, wire.CommitRequest{Attempt: m.Attempt, Epoch: m.Epoch, Base: "guid"})
	return err
}

func (l *lab) failed(m cluster.Move, final bool) error {
	return l.Failed(l.ctx, m.From, m.ID, wire.FailureReport{Attempt: m.Attempt, Reason: "the link broke", Final: final})
}

// bring requests a move of db to b and takes it as far as a phase.
func (l *lab) bring(phase cluster.Phase) cluster.Move {
	l.t.Helper()
	m, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "b"})
	l.ok(err)
	for _, step := range []struct {
		before cluster.Phase
		call   func(cluster.Move) error
	}{{cluster.PhasePrepare, l.ready}, {cluster.PhasePrecopy, l.precopy}, {cluster.PhaseHold, l.hold}, {cluster.PhasePromote, l.commit}} {
		if phase == cluster.PhasePrepare {
			break
		}
		l.ok(step.call(m))
		if step.before == phase {
			break
		}
	}
	return l.wantPhase(phase)
}

// arrived returns what someone who waited was woken with. Nobody waits for it for long: on fake
// time, with housekeeping running, that would be for ever.
func arrived[T any](t *testing.T, result <-chan T) T {
	t.Helper()
	synctest.Wait()
	select {
	case v := <-result:
		return v
	default:
		t.Fatal("it was not woken")
		panic("unreachable")
	}
}
