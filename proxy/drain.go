package proxy

import "time"

// enter records that c, by way of server, is about to be connected to endpoint. It returns false
// if the route no longer leads there.
func (rt *route) enter(c *conn, server *socket, endpoint string) bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.now.Endpoint != endpoint {
		return false
	}
	c.server, c.endpoint, c.carried = server, endpoint, false
	rt.conns[c] = struct{}{}
	return true
}

// arrive records that c is connected. From here on it may finish whatever the route does. It
// returns false if the route has moved on meanwhile: then c has not been served yet, and may
// still go where the route leads.
func (rt *route) arrive(c *conn) bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	c.carried = rt.now.Endpoint == c.endpoint
	return c.carried
}

// exit forgets c, whose sockets are about to be closed by their owner.
func (rt *route) exit(c *conn) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	delete(rt.conns, c)
}

// leave turns back the connections that are on their way to where the route no longer leads.
// With drain, those that are served there get a deadline. The caller holds rt.mu.
func (rt *route) leave(drain bool) {
	var old []*conn
	for c := range rt.conns {
		switch {
		case c.endpoint == rt.now.Endpoint:
		case !c.carried:
			c.server.interrupt()
		case drain:
			old = append(old, c)
		}
	}
	if len(old) == 0 {
		return
	}
	after := rt.proxy.drain()
	rt.log.Info("connections drain", "connections", len(old), "deadline", after)
	time.AfterFunc(after, func() {
		if n := rt.cut(old); n > 0 {
			rt.log.Warn("connections cut: they outlasted the drain", "connections", n)
		}
	})
}

// cut interrupts those of the connections that are still open, unless the route has come back to
// where they are served. It returns how many they were.
func (rt *route) cut(conns []*conn) int {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	n := 0
	for _, c := range conns {
		if _, open := rt.conns[c]; open && c.endpoint != rt.now.Endpoint {
			c.client.interrupt()
			c.server.interrupt()
			n++
		}
	}
	return n
}

// cutAll interrupts every connection of a closed route and returns how many they were.
func (rt *route) cutAll() int {
	rt.mu.Lock()
	var all []*conn
	for c := range rt.conns {
		all = append(all, c)
	}
	rt.mu.Unlock()
	return rt.cut(all)
}

// idle reports whether no connection is left.
func (rt *route) idle() bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return len(rt.conns) == 0
}
