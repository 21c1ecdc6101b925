package proxy

import (
	"errors"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A conn is one client's connection. Its sockets are closed by its own goroutines: the one that
// makes the connection, later the one whose direction ends last.
type conn struct {
	route  *route
	client *socket
	late   bool // it may have waited in the backlog

	// These are written under route.mu.
	server   *socket
	endpoint string
	carried  bool // connected; until then it can still be led elsewhere

	ended  atomic.Int32 // directions that have ended
	broken atomic.Bool  // one of them not in order
}

// serve leads the client to the endpoint of the route, or refuses it.
func (c *conn) serve() {
	if c.reach() {
		c.carry()
		return
	}
	c.route.counters.failed.Add(1)
	c.client.reset()
	c.over()
}

// over gives back what the connection had, once its sockets are closed.
func (c *conn) over() {
	c.route.share.give(perConnection)
	c.route.proxy.alive.Done()
}

// reach connects to whoever serves the route now, however often that changes meanwhile. It
// returns false when the client is to be refused.
func (c *conn) reach() bool {
	w := wait{counters: &c.route.counters, patience: c.route.proxy.patience()}
	defer w.end()
	for {
		view := c.route.gate.Look()
		switch view.Phase {
		case Closed:
			return false
		case Held:
			if !w.held(view, c.client.gone) {
				return false
			}
			continue
		}
		if (c.late || w.waited()) && c.client.gone() {
			c.route.log.Debug("a client left while it waited")
			return false
		}
		if view.Endpoint != "" {
			w.ask()
			err := c.connect(view.Endpoint)
			if err == nil {
				return true
			}
			c.route.log.Debug("endpoint does not answer", "endpoint", view.Endpoint, "error", err)
		}
		if !w.again(view) {
			return false
		}
	}
}

var errMoved = errors.New("the route has moved")

// connect makes one attempt. The client sees nothing of one that fails.
func (c *conn) connect(endpoint string) error {
	d, err := dial(endpoint, c.route.proxy.limits())
	if err != nil {
		return err
	}
	if !c.route.enter(c, d.socket, endpoint) {
		d.close()
		return errMoved
	}
	err = d.wait()
	if err == nil && !c.route.arrive(c) {
		err = errMoved
	}
	if err != nil {
		c.route.exit(c)
		d.close()
	}
	return err
}

// carry moves bytes both ways. The direction that ends last ends the connection.
func (c *conn) carry() {
	c.route.counters.open.Add(1)
	go c.pass(newDirection(c.client, c.server, c.route))
	c.pass(newDirection(c.server, c.client, c.route))
}

// pass runs one direction to its end and tells the other side.
func (c *conn) pass(d *direction) {
	d.run()
	switch {
	case d.err != nil:
		// The other side must not take what it got for the whole: no orderly end from here on.
		c.broken.Store(true)
		c.client.interrupt()
		c.server.interrupt()
	case d.sinkErr != nil:
		// The sink hears no more, but may have spoken before it broke: the other direction reads
		// what it said, and then its end.
		c.broken.Store(true)
		d.sink.shutdown(unix.SHUT_RDWR)
	}
	if c.ended.Add(1) == 2 {
		c.end()
	} else if !c.broken.Load() {
		d.sink.shutdown(unix.SHUT_WR)
	}
}

// end closes both sockets, which also tells the sink of the last direction.
func (c *conn) end() {
	c.route.exit(c)
	if c.broken.Load() {
		c.client.reset()
		c.server.reset()
	} else {
		c.client.close()
		c.server.close()
	}
	c.route.counters.open.Add(-1)
	c.over()
}
