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
	"cmp"
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
	// DefaultStall is how long a peer may take nothing of what waits for it. It is about what the kernel
	// gives a peer that does not answer at all; who pauses a reader for longer loses the connection.
	DefaultStall = 10 * time.Minute
	// DefaultSilence is after how long a peer of which nothing is heard counts as gone. With the looks that
	// it takes to be sure, it ends within half a minute.
	DefaultSilence = 24 * time.Second
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
	// Stall is how long either side may leave what was sent to it unacknowledged, or not read it so that
	// no more can be sent, before the connection is reset. Zero means DefaultStall.
	Stall time.Duration
	// Silence is how long a peer may answer nothing that it is sent, probes of the kernel's among it, before
	// the connection is reset: its host is down or cut off. Zero means DefaultSilence; less than a few
	// seconds is more than the kernel can tell.
	Silence time.Duration
	// Files is how many descriptors clients can make the proxy take. Zero means: all that the process may
	// have but some hundreds. One route gets three quarters of them at most, and less when others need
	// them, too. Clients for whom there is no room wait in the backlog, and are refused after Patience.
	Files int
	// Log receives what an operator wants to know. Nil means slog.Default().
	Log *slog.Logger

	budget  budget
	measure sync.Once // the budget
	supply  supply
	watch   sync.Once      // for peers that have gone silent
	alive   sync.WaitGroup // one for each connection

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
		p.watch.Do(func() { time.AfterFunc(p.silence()/12, p.watchSilence) })
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
			err = fmt.Errorf("close proxy: %s still open: %w", cluster.Count(cut, "connection"), context.Cause(ctx))
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

func (p *Proxy) limits() limits { return limits{cmp.Or(p.Stall, DefaultStall), p.silence()} }

func (p *Proxy) silence() time.Duration { return cmp.Or(p.Silence, DefaultSilence) }

// files returns the budget of the proxy's descriptors.
func (p *Proxy) files() *budget {
	p.measure.Do(func() {
		p.budget.total = cmp.Or(p.Files, ownFiles())
		p.supply.share.of = &p.budget
	})
	return &p.budget
}

func (p *Proxy) log() *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return slog.Default()
}
