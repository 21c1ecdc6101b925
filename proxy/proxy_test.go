package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/drover/drover/cluster"
)

func TestProxyForwards(t *testing.T) {
	r := newRig(t)
	r.forward(named(t, "a"))
	c := r.dial()
	mustRead(t, c, "a")
	mustEcho(t, c, "hello")
	s := r.stats()
	if s.External != r.port || s.Application != "db" || s.Phase != Open || s.Open != 1 || s.Total != 1 {
		t.Errorf("the figures are %+v", s)
	}
	want := int64(len("a") + 2*len("hello"))
	eventually(t, "all bytes are counted", func() bool { return r.stats().Bytes == want })
	c.Close()
	eventually(t, "the connection is counted no more", func() bool { return r.stats().Open == 0 })
}

func TestProxyWorksByDefault(t *testing.T) {
	p := Proxy{Log: slog.New(slog.DiscardHandler)} // all else zero
	port := freePort(t)
	endpoint := named(t, "a")
	if err := p.Apply([]cluster.Route{{External: port, Application: "db", Mode: cluster.Forward, Endpoint: endpoint}}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", address(port))
	if err != nil {
		t.Fatal(err)
	}
	mustRead(t, c, "a")
	c.Close()
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEndpointForms(t *testing.T) {
	at := named(t, "a")
	_, port, _ := net.SplitHostPort(at)
	for _, endpoint := range []string{at, "localhost:" + port, ":" + port, "[::ffff:127.0.0.1]:" + port} {
		t.Run(endpoint, func(t *testing.T) {
			r := newRig(t)
			r.forward(endpoint)
			mustRead(t, r.dial(), "a")
		})
	}
}

func TestApplyOfAnEqualTableIsANoOp(t *testing.T) {
	r := newRig(t)
	endpoint := named(t, "a")
	r.forward(endpoint)
	rt, view := r.proxy.routes[r.port], r.proxy.routes[r.port].gate.Look()
	changes := r.log.count("route changed")
	r.forward(endpoint)
	if r.proxy.routes[r.port] != rt {
		t.Error("the route was made anew")
	}
	select {
	case <-view.Moved:
		t.Error("waiters were woken")
	default:
	}
	if r.log.count("route changed") != changes {
		t.Error("a change was logged")
	}
}

func TestApplyLeavesOtherPortsAlone(t *testing.T) {
	p := newRig(t).proxy
	endpoint := named(t, "a")
	route := func(port int) cluster.Route {
		return cluster.Route{External: port, Application: cluster.AppName(address(port)), Mode: cluster.Forward, Endpoint: endpoint}
	}
	stays := freePort(t)
	apply := func(routes ...cluster.Route) {
		t.Helper()
		if err := p.Apply(routes); err != nil {
			t.Fatal(err)
		}
	}
	apply(route(stays))
	c, err := net.Dial("tcp", address(stays))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mustRead(t, c, "a")
	listener := p.routes[stays].listener

	other := freePort(t)
	apply(route(other), route(stays))
	apply(route(stays))
	mustEcho(t, c, "still there")
	if p.routes[stays].listener != listener {
		t.Error("the port that stayed was bound anew")
	}
	if _, err := net.Dial("tcp", address(other)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialing a port that is gone: %v, want it refused", err)
	}
	if n := len(p.Stats()); n != 1 {
		t.Errorf("%d routes have figures, want 1", n)
	}
}

func TestApplyReportsAPortInUse(t *testing.T) {
	r := newRig(t)
	taken, err := net.Listen("tcp", address(freePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	endpoint := named(t, "a")
	routes := []cluster.Route{
		{External: port, Application: "web", Mode: cluster.Forward, Endpoint: endpoint},
		{External: r.port, Application: "db", Mode: cluster.Forward, Endpoint: endpoint},
	}
	err = r.proxy.Apply(routes)
	if !errors.Is(err, cluster.ErrUnavailable) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Apply: %v, want ErrUnavailable because of EADDRINUSE", err)
	}
	if err == nil || !strings.Contains(err.Error(), address(port)) {
		t.Errorf("Apply: %v, want it to name port %d", err, port)
	}
	mustRead(t, r.dial(), "a") // the other one works

	taken.Close()
	if err := r.proxy.Apply(routes); err != nil {
		t.Fatalf("Apply of the same table, the port being free: %v", err)
	}
	c, err := net.Dial("tcp", address(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mustRead(t, c, "a")
}

func TestApplyOfAnInvalidTableChangesNothing(t *testing.T) {
	r := newRig(t)
	r.forward(named(t, "a"))
	err := r.proxy.Apply([]cluster.Route{{External: 99999, Application: "db", Mode: cluster.Forward}})
	if !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("Apply: %v, want ErrInvalid", err)
	}
	mustRead(t, r.dial(), "a")
}

func TestApplyAfterClose(t *testing.T) {
	r := newRig(t)
	r.forward(named(t, "a"))
	if err := r.proxy.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.proxy.Apply(nil); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("Apply: %v, want ErrUnavailable", err)
	}
	if _, err := net.Dial("tcp", address(r.port)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, want it refused", err)
	}
}

func TestPortsCanBeSwapped(t *testing.T) {
	r := newRig(t)
	a, b := named(t, "a"), named(t, "b")
	for i := range 20 {
		endpoint := []string{a, b}[i%2]
		r.forward(endpoint)
		mustRead(t, r.dial(), []string{"a", "b"}[i%2])
		if err := r.proxy.Apply(nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingIsLeaked(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	goroutines, files := runtime.NumGoroutine(), descriptors()

	t.Run("after connections of all kinds", func(t *testing.T) {
		r := newRig(t)
		r.forward(named(t, "a"))
		for range 10 {
			c := r.dial()
			mustRead(t, c, "a")
			mustEcho(t, c, strings.Repeat("bulk", 64<<10))
		}
		r.hold("m1", here)
		r.dial()
		eventually(t, "the client waits", func() bool { return r.stats().Held == 1 })
		cut, cancel := context.WithCancel(context.Background())
		cancel()
		r.proxy.Close(cut)
	})
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "all descriptors are closed", func() bool { return descriptors() <= files })
}
