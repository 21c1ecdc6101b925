package sim

import (
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/proxy"
)

// A router is a host's proxy without its sockets: the gates are the real ones. It implements
// convergence.Router.
type router struct {
	mu    sync.Mutex
	gates map[int]*proxy.Gate
}

func newRouter() *router { return &router{gates: map[int]*proxy.Gate{}} }

// Apply implements convergence.Router.
func (r *router) Apply(routes []cluster.Route) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := map[int]*proxy.Gate{}
	for _, route := range routes {
		gate := r.gates[route.External]
		if gate == nil {
			gate = &proxy.Gate{}
		}
		gate.Follow(route)
		next[route.External] = gate
	}
	for port, gate := range r.gates {
		if next[port] == nil {
			gate.Close()
		}
	}
	r.gates = next
	return nil
}

// close ends the proxy with its process.
func (r *router) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, gate := range r.gates {
		gate.Close()
	}
	clear(r.gates)
}

func (r *router) gate(port int) *proxy.Gate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gates[port]
}
