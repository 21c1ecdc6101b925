package proxy

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

func TestDrain(t *testing.T) {
	forever := 24 * time.Hour
	atOnce := time.Millisecond
	a, b := named(t, "a"), named(t, "b")
	for _, tt := range []struct {
		name  string
		drain time.Duration
		then  func(*rig)
		cut   bool
	}{
		{"a connection to an endpoint that was left may go on", forever, func(r *rig) { r.forward(b) }, false},
		{"it is reset when the drain is over", atOnce, func(r *rig) { r.forward(b) }, true},
		{"a hold is no reason", atOnce, func(r *rig) { r.hold("m1", a) }, false},
		{"an endpoint that is not known yet is no reason", atOnce, func(r *rig) { r.forward("") }, false},
		{"one that is known after a while is", atOnce, func(r *rig) { r.forward(""); r.forward(b) }, true},
		{"a route that is gone is", atOnce, func(r *rig) { r.proxy.Apply(nil) }, true},
		{"a route that came back in time is not", 50 * time.Millisecond, func(r *rig) { r.forward(b); r.forward(a) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.proxy.Drain = tt.drain
			r.forward(a)
			c := r.dial()
			mustRead(t, c, "a")
			tt.then(r)
			if tt.cut {
				mustReset(t, c)
				eventually(t, "it was logged", func() bool { return r.log.has("outlasted the drain") })
				return
			}
			for range 10 {
				time.Sleep(tt.drain / 10 % time.Second) // the drain goes by
				mustEcho(t, c, "still there")
			}
		})
	}
}

func TestDrainCutsOnlyWhatWasLeft(t *testing.T) {
	r := newRig(t)
	r.proxy.Drain = time.Millisecond
	r.forward(named(t, "a"))
	old := r.dial()
	mustRead(t, old, "a")
	r.forward(named(t, "b"))
	fresh := r.dial()
	mustRead(t, fresh, "b")
	mustReset(t, old)
	mustEcho(t, fresh, "hello")
}

func TestDrainCutsABusyConnection(t *testing.T) {
	r := newRig(t)
	r.proxy.Drain = time.Millisecond
	r.forward(backend(t, func(c *net.TCPConn) {
		for { // bulk that never pauses
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}))
	c := r.dial()
	eventually(t, "bytes flow", func() bool {
		_, err := c.Read(make([]byte, 64<<10))
		return err == nil && r.stats().Bytes > 1<<20
	})
	r.forward(here)
	mustReset(t, c)
}

func TestClose(t *testing.T) {
	t.Run("waits for connections to end", func(t *testing.T) {
		r := newRig(t)
		r.forward(named(t, "a"))
		c := r.dial()
		mustRead(t, c, "a")
		closed := make(chan error)
		go func() { closed <- r.proxy.Close(context.Background()) }()
		eventually(t, "the port is given up", func() bool {
			probe, err := net.Dial("tcp", address(r.port))
			if err == nil {
				probe.Close()
			}
			return err != nil
		})
		mustEcho(t, c, "still there")
		c.Close()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
	t.Run("resets those that outlast the context", func(t *testing.T) {
		r := newRig(t)
		r.forward(named(t, "a"))
		c := r.dial()
		mustRead(t, c, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := r.proxy.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 connection still open") {
			t.Errorf("Close: %v, want it to tell of one connection and the deadline", err)
		}
		mustReset(t, c)
	})
	t.Run("resets those of routes that were gone before", func(t *testing.T) {
		r := newRig(t)
		r.forward(named(t, "a"))
		c := r.dial()
		mustRead(t, c, "a")
		if err := r.proxy.Apply(nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.proxy.Close(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Close: %v, want it canceled", err)
		}
		mustReset(t, c)
	})
	t.Run("refuses those that wait", func(t *testing.T) {
		r := newRig(t)
		r.hold("m1", here)
		c := r.dial()
		eventually(t, "the client waits", func() bool { return r.stats().Held == 1 })
		if err := r.proxy.Close(t.Context()); err != nil {
			t.Error(err)
		}
		mustReset(t, c)
	})
	t.Run("does nothing the second time", func(t *testing.T) {
		var p Proxy
		for range 2 {
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestRetiredRoutesAreForgotten(t *testing.T) {
	r := newRig(t)
	a := named(t, "a")
	for range 5 {
		r.forward(a)
		mustRead(t, r.dial(), "a")
		eventually(t, "the connection has arrived", func() bool { return r.stats().Total == 1 })
		if err := r.proxy.Apply(nil); err != nil {
			t.Fatal(err)
		}
		for _, rt := range r.proxy.retired {
			eventually(t, "the connections were cut", func() bool { return rt.cutAll() == 0 })
		}
	}
	if n := len(r.proxy.retired); n != 1 {
		t.Errorf("%d routes are remembered, want the last one", n)
	}
	var none []cluster.Route
	if err := r.proxy.Apply(none); err != nil {
		t.Fatal(err)
	}
}
