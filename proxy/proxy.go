// Package proxy leads the clients of an external port to whoever serves the application now, and
// keeps them waiting while it moves.
//
//	p := &proxy.Proxy{Address: "10.0.0.1"}
//	err := p.Apply(routes)  // the whole table; again at every change of it
//	for _, s := range p.Stats() { ... }
//	p.Close(ctx)            // lets the open connections finish until ctx ends
//
// The life of one connection, each arrow taken by the goroutine that the accept loop starts:
//
//	accept --> Gate --> dial --> copy <--> splice --> close
//	            ^  |      |
//	            |  |      +-- failed: wait a little, look at the gate again
//	            |  +-- Held: wait until it moves, then look again
//	          Apply
//
// The proxy obeys routes and decides nothing: it knows of no configuration, no volume and no
// protocol but TCP. It works on Linux only, because of splice.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
)

// Defaults of a Proxy.
const (
	// DefaultPatience is how long a proxy that hears nothing more keeps clients waiting.
	DefaultPatience = 30 * time.Second
	// DefaultDrain is how long connections to an endpoint that a route has left may go on.
	DefaultDrain = 10 * time.Second
)

// A Proxy listens on the external port of every route and carries connections to its endpoint.
// The zero value works. The exported fields must not change after the first Apply. All methods
// may be called concurrently.
type Proxy struct {
	// Address is the IP address to listen on; empty means all of the host's.
	Address string
	// Patience bounds each hold, counted from when the proxy learns of it, and each wait for an
	// endpoint that does not answer. Zero means DefaultPatience.
	Patience time.Duration
	// Drain is how long connections to an endpoint that a route has left may go on before they
	// are reset. Zero means DefaultDrain.
	Drain time.Duration
	// Log receives what an operator wants to know. Nil means slog.Default().
	Log *slog.Logger

	supply supply
	alive  sync.WaitGroup // one for each connection

	mu      sync.Mutex // serialises Apply, Stats and Close
	closed  bool
	table   table
	routes  map[int]*route // those that listen, by external port
	retired []*route       // gone from the table; some of their connections may go on
}

// Apply makes the given routes, and no others, the ones that the proxy serves. The order of the
// routes does not matter, and the table that is in force already changes nothing.
//
// When Apply returns, every connection accepted from now on obeys the new table: a new route
// listens, one that is gone does not. A route that is in both tables listens throughout, and
// connections that wait at it are woken if the change concerns them.
//
// A table that is not valid changes nothing and is cluster.ErrInvalid. A port that cannot be
// bound is named in an error that is cluster.ErrUnavailable; all other routes work, and the next
// Apply, even of the same table, tries that port again.
func (p *Proxy) Apply(routes []cluster.Route) error {
	next, err := newTable(routes)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("apply routes: %w: the proxy is closed", cluster.ErrUnavailable)
	}
	if slices.Equal(next, p.table) && len(p.routes) == len(next) {
		return nil
	}
	p.table = next
	// Holds come first: someone waits for them to be in force. Ports are given up before others
	// are taken.
	for _, r := range next {
		if rt := p.routes[r.External]; rt != nil {
			rt.follow(r)
		}
	}
	p.retire()
	return p.listen()
}

// retire ends the routes that the table no longer has.
func (p *Proxy) retire() {
	p.retired = slices.DeleteFunc(p.retired, (*route).idle)
	for _, port := range slices.Sorted(maps.Keys(p.routes)) {
		if p.table.has(port) {
			continue
		}
		rt := p.routes[port]
		delete(p.routes, port)
		rt.close()
		p.retired = append(p.retired, rt)
	}
}

// listen starts the routes of the table that do not listen yet.
func (p *Proxy) listen() error {
	var errs []error
	for _, r := range p.table {
		if p.routes[r.External] != nil {
			continue
		}
		rt, err := newRoute(p, r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if p.routes == nil {
			p.routes = make(map[int]*route)
		}
		p.routes[r.External] = rt
	}
	return errors.Join(errs...)
}

// Close stops listening and refuses the connections that wait. It returns nil once all others
// have ended by themselves. If ctx ends first, they are reset, and the result wraps its error.
func (p *Proxy) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for port, rt := range p.routes {
		rt.close()
		p.retired = append(p.retired, rt)
		delete(p.routes, port)
	}
	retired := p.retired
	p.mu.Unlock()

	done := make(chan struct{})
	go func() {
		p.alive.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		cut := 0
		for _, rt := range retired {
			cut += rt.cutAll()
		}
		<-done
		if cut > 0 {
			err = fmt.Errorf("close proxy: %d connections were still open: %w", cut, context.Cause(ctx))
		}
	}
	p.supply.close()
	return err
}

func (p *Proxy) patience() time.Duration {
	if p.Patience > 0 {
		return p.Patience
	}
	return DefaultPatience
}

func (p *Proxy) drain() time.Duration {
	if p.Drain > 0 {
		return p.Drain
	}
	return DefaultDrain
}

func (p *Proxy) log() *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return slog.Default()
}
