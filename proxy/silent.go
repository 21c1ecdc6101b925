package proxy

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel has two ways to end a connection whose peer has gone, and neither will do: it counts probes only
// while nothing is on its way, and TCP_USER_TIMEOUT cannot tell a peer that answers, and only reads nothing
// for a while, from one that is not there. So the kernel probes, and the proxy looks at what it has heard.

// watchSilence ends, again and again until the proxy is closed, the connections with a peer that has gone.
func (p *Proxy) watchSilence() {
	p.mu.Lock()
	closed := p.closed
	routes := slices.Clone(p.retired)
	for _, rt := range p.routes {
		routes = append(routes, rt)
	}
	p.mu.Unlock()
	if closed {
		return
	}
	for _, rt := range routes {
		rt.cutSilent(p.silence())
	}
	time.AfterFunc(p.silence()/12, p.watchSilence)
}

// cutSilent interrupts the connections with a peer that was silent for longer than that.
func (rt *route) cutSilent(limit time.Duration) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	n := 0
	for c := range rt.conns {
		if c.carried && (c.client.silent(limit) || c.server.silent(limit)) {
			c.client.interrupt()
			c.server.interrupt()
			n++
		}
	}
	if n > 0 {
		rt.log.Warn("connections cut: a side of them has gone silent", "connections", n, "silence", limit)
	}
}

// silent reports whether the peer was silent for longer than limit, with something to answer at this look
// and the one before: in between the kernel asks a peer with no room ever more rarely, and only what it
// has just sent may be unanswered. One goroutine looks.
func (s *socket) silent(limit time.Duration) bool {
	before := s.suspect
	s.suspect = false
	s.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		heard := time.Duration(min(info.Last_ack_recv, info.Last_data_recv)) * time.Millisecond
		s.suspect = heard > limit && (info.Unacked > 0 || info.Probes > 0)
	})
	return before && s.suspect
}
