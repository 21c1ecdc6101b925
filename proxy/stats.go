package proxy

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/drover/drover/cluster"
)

// Stats are what a route has done since it was new.
type Stats struct {
	External    int
	Application cluster.AppName
	Phase       Phase
	// Open and Held count the connections that are carried now, and those that wait now.
	Open int64
	Held int64
	// Total counts all connections that were accepted.
	Total int64
	// Failed counts those that were closed without having reached an endpoint.
	Failed int64
	// Bytes is what was moved, both ways together.
	Bytes int64
	// LongestHold is the longest that a connection has waited, of those that wait no more.
	LongestHold time.Duration
}

// Stats returns the figures of every route that listens, sorted by external port.
func (p *Proxy) Stats() []Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Stats, 0, len(p.routes))
	for _, port := range slices.Sorted(maps.Keys(p.routes)) {
		out = append(out, p.routes[port].stats())
	}
	return out
}

func (rt *route) stats() Stats {
	rt.mu.Lock()
	app := rt.now.Application
	rt.mu.Unlock()
	c := &rt.counters
	return Stats{
		External:    rt.external,
		Application: app,
		Phase:       rt.gate.Look().Phase,
		Open:        c.open.Load(),
		Held:        c.held.Load(),
		Total:       c.total.Load(),
		Failed:      c.failed.Load(),
		Bytes:       c.bytes.Load(),
		LongestHold: time.Duration(c.longest.Load()),
	}
}

// counters are the figures of one route.
type counters struct {
	open, held, total, failed, bytes atomic.Int64
	longest                          atomic.Int64 // nanoseconds
}

// waited records that a connection has waited for d.
func (c *counters) waited(d time.Duration) {
	for {
		longest := c.longest.Load()
		if int64(d) <= longest || c.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}
