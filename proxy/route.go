package proxy

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
)

// A route is an external port that the proxy listens on, with the connections that came by it.
// A connection belongs to its route, not to a table: it always obeys the newest one.
type route struct {
	external int
	gate     Gate
	counters counters
	listener *listener

	proxy *Proxy
	log   *slog.Logger
	share share
	full  time.Time // since when there is no room; zero: there is. The accept loop's, like the next
	eased time.Time // when there last was room again

	mu    sync.Mutex
	now   cluster.Route      // as last followed; zero once closed
	conns map[*conn]struct{} // those that have, or are making, a connection to an endpoint
}

// newRoute listens on the external port of r.
func newRoute(p *Proxy, r cluster.Route) (*route, error) {
	log := p.log().With("port", r.External)
	l, err := listen(p.Address, r.External, p.limits(), log)
	if err != nil {
		return nil, fmt.Errorf("%w: listen on port %d for %s: %w", cluster.ErrUnavailable, r.External, r.Application, err)
	}
	rt := &route{
		external: r.External,
		listener: l,
		proxy:    p,
		log:      log,
		conns:    make(map[*conn]struct{}),
		share:    share{of: p.files()},
	}
	rt.share.keep(1) // the listener's
	rt.gate.Patience = p.patience()
	rt.gate.LetGo = func(move cluster.MoveID) {
		log.Warn("hold let go: nothing was heard for the whole patience", "move", move, "patience", p.patience())
	}
	rt.follow(r)
	l.start(rt.serve)
	return rt, nil
}

// follow makes the route lead where r says.
func (rt *route) follow(r cluster.Route) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.now == r {
		return
	}
	if rt.now.Mode != r.Mode || rt.now.Endpoint != r.Endpoint {
		rt.log.Info("route changed", "app", r.Application, "mode", r.Mode, "endpoint", r.Endpoint,
			"epoch", r.Epoch, "move", r.Move)
	}
	rt.now = r
	rt.gate.Follow(r)
	// An endpoint that is not known yet is no reason to end what the last one serves.
	rt.leave(r.Endpoint != "")
}

// close gives the port up and refuses the connections that wait. Those that are carried may go
// on for as long as they might if the route had moved.
func (rt *route) close() {
	rt.listener.close()
	rt.share.give(1)
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.now = cluster.Route{}
	rt.gate.Close()
	rt.leave(true)
	rt.log.Info("route closed")
}

// serve starts the life of a connection, if there is room for it.
func (rt *route) serve(client *socket) {
	rt.counters.total.Add(1)
	if !rt.admit() {
		rt.counters.failed.Add(1)
		client.reset()
		return
	}
	rt.proxy.alive.Add(1)
	c := &conn{route: rt, client: client}
	if !rt.eased.IsZero() {
		c.late = time.Since(rt.eased) < rt.proxy.patience() // or it was behind one that had to wait
	}
	go c.serve()
}

// admit takes what a connection needs from the route's share. While there is no room, one client waits
// here and the others in the backlog, for as long as clients are kept waiting; then they are refused
// until there is. It reports whether the connection may be.
func (rt *route) admit() bool {
	if rt.full.IsZero() && rt.share.take(perConnection) {
		return true
	}
	for {
		given := rt.share.of.given() // before the look, so that nothing is missed
		if rt.share.take(perConnection) {
			rt.full, rt.eased = time.Time{}, time.Now()
			return true
		}
		if rt.full.IsZero() {
			rt.full = time.Now()
			rt.log.Warn("no room for more connections; clients wait in the backlog", "open", rt.counters.open.Load(),
				"descriptors", rt.share.of.total)
		}
		left := time.Until(rt.full.Add(rt.proxy.patience()))
		if left <= 0 {
			return false
		}
		select {
		case <-given:
		case <-time.After(left):
			rt.log.Error("no room for more connections; clients are refused until others end", "open", rt.counters.open.Load())
		case <-rt.listener.closing:
			return false
		}
	}
}
