package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/drover/drover/cluster"
)

// A Phase is what a Gate does with connections.
type Phase int

// The phases of a Gate.
const (
	// Closed: refuse at once.
	Closed Phase = iota
	// Held: wait.
	Held
	// Open: pass at once.
	Open
)

func (p Phase) String() string {
	switch p {
	case Held:
		return "held"
	case Open:
		return "open"
	default:
		return "closed"
	}
}

// A Gate decides whether new connections to one route may pass, and to which endpoint.
//
//	Open    pass at once
//	Held    wait until opened or closed, or until Patience has gone by: then it opens by itself
//	Closed  refuse at once
//
// Only the route table moves a Gate; connections that have passed are not affected. Looking
// takes no lock. The zero Gate is Closed.
type Gate struct {
	// Patience bounds a hold. Zero means DefaultPatience. It must not change after first use.
	Patience time.Duration
	// LetGo, if set, is called when a hold has outlasted Patience and the gate opens by itself.
	LetGo func(move cluster.MoveID)

	view atomic.Pointer[View]

	mu   sync.Mutex // serialises moves of the gate
	hold *hold      // the hold that is in force or was let go; nil when none is asked for
}

// A View is a gate at one instant.
type View struct {
	Phase Phase
	// Endpoint is the host:port to pass to; while Held, whoever served last. It may be empty.
	Endpoint string
	// Moved is closed as soon as the gate is no longer as seen. One close frees every waiter.
	Moved <-chan struct{}

	moved chan struct{}
}

// A hold is a row of tables that say to hold for the same move. Its patience is counted once.
type hold struct {
	move  cluster.MoveID
	timer *time.Timer
}

// Look returns the gate as it is now.
func (g *Gate) Look() View {
	if v := g.view.Load(); v != nil {
		return *v
	}
	return View{}
}

// Follow moves the gate to where the route says. A hold that goes on, for the same move, keeps
// its deadline, and stays open once it was let go.
func (g *Gate) Follow(r cluster.Route) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Mode != cluster.Hold {
		g.endHold()
		g.set(Open, r.Endpoint)
		return
	}
	if g.hold != nil && g.hold.move == r.Move {
		g.set(g.Look().Phase, r.Endpoint)
		return
	}
	g.endHold()
	h := &hold{move: r.Move}
	g.hold = h
	g.set(Held, r.Endpoint)
	h.timer = time.AfterFunc(g.patience(), func() { g.letGo(h) })
}

// Close closes the gate.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endHold()
	g.set(Closed, "")
}

// letGo opens the gate if it is still held by h.
func (g *Gate) letGo(h *hold) {
	g.mu.Lock()
	current := g.hold == h
	if current {
		g.set(Open, g.Look().Endpoint)
	}
	g.mu.Unlock()
	if current && g.LetGo != nil {
		g.LetGo(h.move)
	}
}

func (g *Gate) endHold() {
	if g.hold != nil {
		g.hold.timer.Stop()
		g.hold = nil
	}
}

// set changes what Look returns and wakes those who wait for it to change.
func (g *Gate) set(phase Phase, endpoint string) {
	old := g.Look()
	if old.moved != nil && old.Phase == phase && old.Endpoint == endpoint {
		return
	}
	moved := make(chan struct{})
	g.view.Store(&View{Phase: phase, Endpoint: endpoint, Moved: moved, moved: moved})
	if old.moved != nil {
		close(old.moved)
	}
}

func (g *Gate) patience() time.Duration {
	if g.Patience > 0 {
		return g.Patience
	}
	return DefaultPatience
}
