package proxy

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHoldThenRelease(t *testing.T) {
	const clients = 200
	r := newRig(t)
	a, b := named(t, "a"), named(t, "b")
	r.forward(a)
	before := r.dial()
	mustRead(t, before, "a")

	r.hold("m1", a)
	var served sync.WaitGroup
	for range clients {
		c := r.dial() // accepted, not refused
		served.Go(func() {
			got := make([]byte, 1)
			if _, err := io.ReadFull(c, got); err != nil || got[0] != 'b' {
				t.Errorf("a held client read %q, %v; want %q", got, err, "b")
			}
		})
	}
	eventually(t, "all clients wait", func() bool { return r.stats().Held == clients })
	mustEcho(t, before, "what has passed goes on")
	if s := r.stats(); s.Phase != Held || s.Open != 1 {
		t.Errorf("the figures are %+v", s)
	}

	r.forward(b)
	served.Wait()
	if s := r.stats(); s.Held != 0 || s.Failed != 0 || s.Total != clients+1 || s.LongestHold == 0 {
		t.Errorf("the figures are %+v", s)
	}
}

func TestHoldLetsGoToTheSource(t *testing.T) {
	r := newRig(t)
	r.proxy.Patience = 50 * time.Millisecond
	a := named(t, "a")
	r.forward(a)
	r.hold("m1", a)
	mustRead(t, r.dial(), "a")
	eventually(t, "it was logged", func() bool { return r.log.has("hold let go") })
	r.hold("m1", a)
	mustRead(t, r.dial(), "a") // without another wait
	if s := r.stats(); s.Phase != Open {
		t.Errorf("the gate is %s, want it to stay open", s.Phase)
	}
}

func TestHoldRolledBack(t *testing.T) {
	r := newRig(t)
	a := named(t, "a")
	r.forward(a)
	r.hold("m1", a)
	c := r.dial()
	eventually(t, "the client waits", func() bool { return r.stats().Held == 1 })
	r.forward(a)
	mustRead(t, c, "a")
}

func TestNoEndpoint(t *testing.T) {
	t.Run("a client waits until there is one", func(t *testing.T) {
		r := newRig(t)
		r.forward("")
		c := r.dial()
		eventually(t, "the client waits", func() bool { return r.stats().Held == 1 })
		r.forward(named(t, "a"))
		mustRead(t, c, "a")
	})
	for name, start := range map[string]func(*rig){
		"a client is refused after its patience":             func(r *rig) { r.forward("") },
		"a held client is refused after the hold's patience": func(r *rig) { r.hold("m1", "") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.proxy.Patience = 50 * time.Millisecond
			start(r)
			mustReset(t, r.dial())
			eventually(t, "it counts as failed", func() bool { return r.stats().Failed == 1 })
		})
	}
}

func TestVanishedRouteRefusesWaiters(t *testing.T) {
	r := newRig(t)
	r.hold("m1", named(t, "a"))
	var clients []net.Conn
	for range 20 {
		clients = append(clients, r.dial())
	}
	eventually(t, "all clients wait", func() bool { return r.stats().Held == int64(len(clients)) })
	if err := r.proxy.Apply(nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		mustReset(t, c)
	}
}

func TestEndpointThatIsAway(t *testing.T) {
	t.Run("the client does not see it, and is served when it is back", func(t *testing.T) {
		r := newRig(t)
		at := address(freePort(t))
		r.forward(at)
		c := r.dial()
		eventually(t, "the client waits", func() bool { return r.stats().Held == 1 })
		backendAt(t, at, func(c *net.TCPConn) { io.WriteString(c, "back") })
		mustRead(t, c, "back")
	})
	t.Run("the client is served elsewhere when the route moves", func(t *testing.T) {
		r := newRig(t)
		r.forward(address(freePort(t)))
		c := r.dial()
		eventually(t, "the client waits", func() bool { return r.stats().Held == 1 })
		r.forward(named(t, "b"))
		mustRead(t, c, "b")
	})
	t.Run("the client is held when the route is", func(t *testing.T) {
		r := newRig(t)
		r.proxy.Patience = time.Hour // never in this test
		away := address(freePort(t))
		r.forward(away)
		c := r.dial()
		eventually(t, "the client waits", func() bool { return r.stats().Held == 1 })
		r.hold("m1", away)
		r.forward(named(t, "b"))
		mustRead(t, c, "b")
	})
	t.Run("the client is refused when patience is over", func(t *testing.T) {
		r := newRig(t)
		r.proxy.Patience = 50 * time.Millisecond
		r.forward(address(freePort(t)))
		mustReset(t, r.dial())
		if s := r.stats(); s.LongestHold < r.proxy.Patience {
			t.Errorf("it was refused after %s, before its patience was over", s.LongestHold)
		}
	})
}

// silent is an endpoint that does not even answer, like one whose host is gone: the kernel drops
// what comes to a full backlog.
func silent(t *testing.T) (endpoint string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	endpoint = address(localPort(uintptr(fd)))
	for {
		c, err := net.DialTimeout("tcp", endpoint, 200*time.Millisecond)
		if err != nil {
			return endpoint
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestEndpointThatIsSilent(t *testing.T) {
	t.Run("is left at once when the route moves", func(t *testing.T) {
		r := newRig(t)
		r.forward(silent(t))
		c := r.dial()
		rt := r.proxy.routes[r.port]
		eventually(t, "the client's connection is being made", func() bool { return !rt.idle() })
		r.forward(named(t, "b"))
		mustRead(t, c, "b")
	})
	t.Run("is given up after a while", func(t *testing.T) {
		r := newRig(t)
		r.proxy.Patience = time.Millisecond
		r.forward(silent(t))
		mustReset(t, r.dial())
	})
	t.Run("is left when the route is gone", func(t *testing.T) {
		r := newRig(t)
		r.forward(silent(t))
		c := r.dial()
		rt := r.proxy.routes[r.port]
		eventually(t, "the client's connection is being made", func() bool { return !rt.idle() })
		if err := r.proxy.Apply(nil); err != nil {
			t.Fatal(err)
		}
		mustReset(t, c)
	})
}
