package control

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
)

// TestPromises lets honest, late and malicious nodes and hasty users call the service in any
// order, with crashes between, and checks after each call what must hold whatever happens.
func TestPromises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Rapid would ask t for its deadline, which has no meaning on fake time.
		rapid.Check(struct{ rapid.TB }{t}, func(r *rapid.T) {
			w := newWorld(r)
			defer w.close()
			r.Repeat(map[string]func(*rapid.T){
				"":           w.check,
				"wish":       w.wishAnywhere,
				"request":    w.request,
				"abort":      w.abort,
				"configure":  w.switchOver,
				"lease":      w.leaseOrRelease,
				"forward":    w.forward,
				"forward on": w.forward, // moves should get somewhere, too
				"call":       w.call,
				"act":        w.act,
				"lie":        w.lie,
				"wait":       w.wait,
				"restart":    func(*rapid.T) { w.restart(); w.act(nil) },
			})
		})
	})
}

// A world is a lab, and what has been seen of it so far.
type world struct {
	*lab
	owners map[cluster.VolumeID]cluster.Ownership
	ended  map[cluster.MoveID]cluster.Phase // of moves that are committed, or have ended
}

func newWorld(t reporter) *world {
	w := &world{lab: newLab(t, mem.New()), owners: map[cluster.VolumeID]cluster.Ownership{}, ended: map[cluster.MoveID]cluster.Phase{}}
	for _, id := range []cluster.NodeID{"a", "b", "c"} {
		w.host(id)
	}
	w.configure(func(c *cluster.Configuration) {
		database("a")(c)
		c.Volumes[logVolume] = cluster.Volume{ID: logVolume, Name: "log", Primary: "b"}
	})
	w.configure(site("a"))
	return w
}

var (
	anyNode     = rapid.SampledFrom([]cluster.NodeID{"a", "b", "c"})
	someAttempt = rapid.SampledFrom([]int{0, 0, 0, 0, -1, 1})
)

func (w *world) wishAnywhere(r *rapid.T) {
	node := anyNode.Draw(r, "node")
	if rapid.Bool().Draw(r, "db") {
		w.configure(func(c *cluster.Configuration) {
			if !c.Volumes[dbVolume].Deleted {
				database(node)(c)
			}
		})
		return
	}
	w.configure(site(node))
}

func (w *world) request(r *rapid.T) {
	request := wire.MoveRequest{Volume: rapid.SampledFrom([]string{"db", "log"}).Draw(r, "volume"), To: string(anyNode.Draw(r, "to"))}
	_, _ = w.RequestMove(w.ctx, request) // refused as often as not
}

// someMove returns a move, mostly an open one; false if there is none.
func (w *world) someMove(r *rapid.T) (cluster.Move, bool) {
	moves := w.Moves()
	if len(moves) == 0 {
		return cluster.Move{}, false
	}
	slices.SortStableFunc(moves, func(a, b cluster.Move) int { return cmp.Compare(a.Volume, b.Volume) })
	open := slices.DeleteFunc(slices.Clone(moves), func(m cluster.Move) bool { return m.Phase.Ended() })
	if len(open) > 0 && rapid.IntRange(0, 4).Draw(r, "open") > 0 {
		moves = open
	}
	return moves[rapid.IntRange(0, len(moves)-1).Draw(r, "move")], true
}

func (w *world) abort(r *rapid.T) {
	if m, ok := w.someMove(r); ok {
		_, _ = w.AbortMove(w.ctx, m.ID)
	}
}

// switchOver deletes the log volume, or brings it back.
func (w *world) switchOver(*rapid.T) {
	w.configure(func(c *cluster.Configuration) {
		v := c.Volumes[logVolume]
		v.Deleted = !v.Deleted
		c.Volumes[logVolume] = v
		delete(c.Leases, logVolume)
	})
}

func (w *world) leaseOrRelease(r *rapid.T) {
	node, span := anyNode.Draw(r, "node"), rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(r, "span")
	w.configure(func(c *cluster.Configuration) {
		if _, leased := c.Leases[dbVolume]; leased {
			delete(c.Leases, dbVolume)
			return
		}
		l := cluster.Lease{Volume: dbVolume, Node: node}
		if span > 0 {
			l.Expires = time.Now().Add(span)
		}
		c.Leases[dbVolume] = l
	})
}

// forward does what the honest nodes of a move do next.
func (w *world) forward(r *rapid.T) {
	m, ok := w.someMove(r)
	if !ok {
		return
	}
	w.act(nil)
	switch m.Phase {
	case cluster.PhasePrepare:
		if m.Ready {
			_ = w.precopy(m)
		} else {
			_ = w.ready(m)
		}
	case cluster.PhasePrecopy:
		_ = w.hold(m)
	case cluster.PhaseHold, cluster.PhaseFinal:
		_ = w.commit(m)
	case cluster.PhasePromote:
		w.host(m.To).act()
	}
}

// call makes any call of a move by any node, for any attempt.
func (w *world) call(r *rapid.T) {
	m, ok := w.someMove(r)
	if !ok {
		return
	}
	node := rapid.SampledFrom([]cluster.NodeID{m.From, m.From, m.To, m.To, "a", "b", "c"}).Draw(r, "node")
	attempt := m.Attempt + someAttempt.Draw(r, "attempt")
	epoch := m.Epoch + cluster.Epoch(rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(r, "epoch"))
	final := rapid.Bool().Draw(r, "final")
	phase := rapid.SampledFrom([]cluster.Phase{"", cluster.PhasePrecopy, cluster.PhaseHold, cluster.PhaseFinal, cluster.PhasePromote, cluster.PhaseDone}).Draw(r, "phase")
	switch rapid.IntRange(0, 4).Draw(r, "call") {
	case 0:
		_ = w.Ready(w.ctx, node, m.ID, wire.ReadyReport{Attempt: attempt, Refused: map[bool]string{true: "no", false: ""}[final]})
	case 1:
		_ = w.Progress(w.ctx, node, m.ID, wire.ProgressReport{Attempt: attempt, Phase: phase})
	case 2:
		_, _ = w.Hold(w.ctx, node, m.ID, wire.AttemptRequest{Attempt: attempt})
	case 3:
		o, err := w.Commit(w.ctx, node, m.ID, wire.CommitRequest{Attempt: attempt, Epoch: epoch})
		if err == nil && (node != m.From || attempt != m.Attempt || o.Owner != m.To || o.Epoch != m.Epoch+1) {
			w.t.Errorf("node %s, attempt %d of %+v: committed as %+v", node, attempt, m, o)
		}
	case 4:
		_ = w.Failed(w.ctx, node, m.ID, wire.FailureReport{Attempt: attempt, Reason: "broken", Final: final})
	}
}

// act lets all hosts do what they are told.
func (w *world) act(*rapid.T) {
	for _, id := range records.Sorted(w.hosts) {
		w.hosts[id].register()
		w.hosts[id].act()
	}
}

// lie reports copies and applications that the node does not have.
func (w *world) lie(r *rapid.T) {
	node, epoch := anyNode.Draw(r, "node"), cluster.Epoch(rapid.IntRange(0, 5).Draw(r, "epoch"))
	w.hosts[node].register()
	w.ok(w.Report(w.ctx, cluster.NodeState{Node: node, Era: "1",
		Applications: []cluster.Instance{{Name: "db", Running: true, Healthy: true, Epoch: epoch, Endpoints: map[int]string{5432: string(node) + ":5432"}}},
		Volumes: []cluster.Copy{{Volume: dbVolume, Role: cluster.Primary, Epoch: epoch, Open: true},
			{Volume: logVolume, Role: cluster.Replica, Epoch: epoch}}}))
}

func (w *world) wait(r *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, 50 * time.Second}).Draw(r, "span"))
}

// check looks for a promise that was broken.
func (w *world) check(r *rapid.T) {
	synctest.Wait() // for housekeeping, if it is at work
	w.checkOwners(r)
	w.checkMoves(r)
	w.checkRoutes(r)
	w.checkStored(r)
}

func (w *world) checkOwners(r *rapid.T) {
	for id, o := range w.Status().Ownerships {
		was, known := w.owners[id]
		switch {
		case known && o.Epoch < was.Epoch:
			r.Fatalf("volume %s: epoch %d became %d", id, was.Epoch, o.Epoch)
		case known && o.Owner != was.Owner && o.Epoch == was.Epoch:
			r.Fatalf("volume %s: %s and %s both own it at epoch %d", id, was.Owner, o.Owner, o.Epoch)
		case known && was.Created && !o.Created:
			r.Fatalf("volume %s is no longer created", id)
		}
		w.owners[id] = o
	}
}

func (w *world) checkMoves(r *rapid.T) {
	open := map[cluster.VolumeID]cluster.MoveID{}
	for _, m := range w.Moves() {
		was := w.ended[m.ID]
		switch {
		case was.Committed() && !m.Phase.Committed():
			r.Fatalf("move %s was committed and is in phase %q", m.ID, m.Phase)
		case was.Ended() && m.Phase != was:
			r.Fatalf("move %s had ended in phase %q and is in phase %q", m.ID, was, m.Phase)
		case m.Attempt > cluster.MaxAttempts:
			r.Fatalf("move %s is at attempt %d", m.ID, m.Attempt)
		case m.Phase.Committed() && w.owners[m.Volume].Epoch <= m.Epoch:
			r.Fatalf("move %s is committed, and its volume at epoch %d", m.ID, w.owners[m.Volume].Epoch)
		}
		if m.Phase.Committed() || m.Phase.Ended() {
			w.ended[m.ID] = m.Phase
		}
		if m.Phase.Ended() {
			continue
		}
		if other, two := open[m.Volume]; two {
			r.Fatalf("moves %s and %s of volume %s are both open", other, m.ID, m.Volume)
		}
		open[m.Volume] = m.ID
	}
}

// checkRoutes checks that a route never leads to a node that does not own the volume, and that
// none is closed.
func (w *world) checkRoutes(r *rapid.T) {
	route := w.route(5432)
	if route.Application != "db" {
		r.Fatalf("the route of db is %+v", route)
	}
	owner := w.owners[dbVolume].Owner
	if route.Mode == cluster.Forward && route.Endpoint != string(owner)+":5432" {
		r.Fatalf("the route of db is %+v, its owner %s", route, owner)
	}
}

// checkStored checks that a crash at this moment would lose nothing.
func (w *world) checkStored(r *rapid.T) {
	want, err := records.Load(stored(w.t, w.store))
	if err != nil {
		r.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.model
	if m.Revision != want.Revision || m.Head != want.Head || len(m.Events) != len(want.Events) {
		r.Fatalf("in memory revision %d, head %d, %d events; stored %d, %d, %d",
			m.Revision, m.Head, len(m.Events), want.Revision, want.Head, len(want.Events))
	}
	sameTable(r, m.Applications, want.Applications)
	sameTable(r, m.Volumes, want.Volumes)
	sameTable(r, m.Leases, want.Leases)
	sameTable(r, m.Ownerships, want.Ownerships)
	sameTable(r, m.Moves, want.Moves)
	sameTable(r, m.Nodes, want.Nodes)
	sameTable(r, m.Routes, want.Routes)
	sameTable(r, m.Drains, want.Drains)
	sameTable(r, m.Keys, want.Keys)
	if diff := gocmp.Diff(m.Index, want.Index, gocmp.AllowUnexported(records.Index{})); diff != "" {
		r.Fatalf("an index has drifted (-in memory +rebuilt)\n%s", diff)
	}
}

func sameTable[K cmp.Ordered, V any](r *rapid.T, have, want *records.Table[K, V]) {
	if diff := gocmp.Diff(maps.Collect(have.Rows()), maps.Collect(want.Rows())); diff != "" {
		r.Fatalf("a table has drifted (-in memory +stored)\n%s", diff)
	}
}
