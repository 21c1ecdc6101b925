package proxy

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"golang.org/x/sys/unix"
)

func TestShares(t *testing.T) {
	fill := func(s *share) (n int) {
		for s.take(2) {
			n += 2
		}
		return n
	}
	b := &budget{total: 1000}
	first, second, third := &share{of: b}, &share{of: b}, &share{of: b}
	if n := fill(first); n < 700 || n > 750 {
		t.Errorf("one that takes what it can gets %d of 1000, want three quarters", n)
	}
	if n := fill(second); n < 150 || n > 250 {
		t.Errorf("the next one gets %d, want most of what is left", n)
	}
	n := fill(third)
	if n == 0 {
		t.Error("the third gets nothing")
	}
	third.keep(500)
	if first.take(2) || third.take(1) {
		t.Error("what is overdrawn was given away")
	}
	given := b.given()
	third.give(500 + n)
	select {
	case <-given:
	default:
		t.Error("who waits is not told")
	}
	if !third.take(2) {
		t.Error("what was given back cannot be taken")
	}
}

func TestSomeDescriptorsAreKeptBack(t *testing.T) {
	for limit, want := range map[uint64]int{256: 256 - 85, 1024: 1024 - 341, 20000: 20000 - 1024, 64: 16, ^uint64(0): 1<<24 - 1024} {
		if got := filesFor(limit); got != want {
			t.Errorf("of %d descriptors %d are for clients, want %d", limit, got, want)
		}
	}
}

// TestIdleClientsOfOneApplicationStopNoOther: they fill their own share.
func TestIdleClientsOfOneApplicationStopNoOther(t *testing.T) {
	r := newRig(t)
	r.proxy.Files, r.proxy.Patience = 42, 500*time.Millisecond // two listeners, and twenty connections, of which one route can have fourteen
	other := freePort(t)
	for other == r.port {
		other++
	}
	routes := []cluster.Route{forwardTo(named(t, "a")), forwardTo(named(t, "b"))}
	routes[0].External, routes[1].External = r.port, other
	if err := r.proxy.Apply(routes); err != nil {
		t.Fatal(err)
	}
	var idle []*net.TCPConn
	for range 60 {
		idle = append(idle, r.dial()) // none is refused by the kernel
	}
	open := func() (n int64) {
		for _, s := range r.proxy.Stats() {
			if s.External == r.port {
				n = s.Open
			}
		}
		return n
	}
	eventually(t, "the share is full", func() bool { return open() == 14 })
	c, err := net.Dial("tcp", address(other))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patient))
	mustRead(t, c, "b")
	mustEcho(t, c, "the other application works")

	t.Run("one that waits in the backlog is served when another ends", func(t *testing.T) {
		mustRead(t, idle[0], "a")
		idle[0].Close()
		mustRead(t, idle[14], "a")
	})
	t.Run("the last are refused when patience is over", func(t *testing.T) {
		mustReset(t, idle[59])
		if r.log.count("clients wait in the backlog") == 0 || r.log.count("clients are refused") == 0 {
			t.Error("nothing of it is in the log")
		}
		if n := r.log.count("no room"); n > 10 {
			t.Errorf("it is in the log %d times", n)
		}
	})
	t.Run("all is given back", func(t *testing.T) {
		for _, c := range append(idle, c.(*net.TCPConn)) {
			c.Close()
		}
		b := r.proxy.files()
		eventually(t, "nothing but the listeners is taken", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.used-r.proxy.supply.share.used == 2
		})
		mustRead(t, r.dial(), "a")
	})
}

// TestARouteCanBeClosedWhileThereIsNoRoom: nobody waits for its clients.
func TestARouteCanBeClosedWhileThereIsNoRoom(t *testing.T) {
	r := newRig(t)
	r.proxy.Files, r.proxy.Patience = 8, time.Hour
	r.forward(named(t, "a"))
	for range 10 {
		r.dial()
	}
	eventually(t, "there is no room", func() bool { return r.log.has("no room") })
	if err := r.proxy.Apply(nil); err != nil {
		t.Fatal(err)
	}
}

// TestRefusalEndsWithTheRoom: the wait for room is counted once, not for each client.
func TestRefusalEndsWithTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Proxy{Files: 4, Patience: time.Minute, Log: slog.New(slog.DiscardHandler)}
		rt := &route{proxy: p, share: share{of: p.files()}, log: p.log(), listener: &listener{closing: make(chan struct{})}}
		if !rt.admit() {
			t.Fatal("there is room for one")
		}
		began := time.Now()
		if rt.admit() || time.Since(began) != time.Minute {
			t.Errorf("refused after %s, want a minute", time.Since(began))
		}
		if rt.admit() || time.Since(began) != time.Minute {
			t.Errorf("the next one after %s, want at once", time.Since(began))
		}
		rt.share.give(perConnection)
		if !rt.admit() {
			t.Error("there is room again")
		}
	})
}

// TestTheProcessKeepsDescriptors runs a proxy in a process with few of them, and idle clients without
// end.
func TestTheProcessKeepsDescriptors(t *testing.T) {
	if os.Getenv("DROVER_TEST_PROXY") != "" {
		serveWithFewDescriptors(t)
		return
	}
	port := freePort(t)
	child := exec.Command(os.Args[0], "-test.run=^TestTheProcessKeepsDescriptors$", "-test.v")
	child.Env = append(os.Environ(), fmt.Sprintf("DROVER_TEST_PROXY=%d %s", port, named(t, "a")))
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	told := func(what string) {
		t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("the process ended without %q: %v", what, err)
			}
			if strings.Contains(line, what) {
				return
			}
		}
	}
	told("serving")
	for range 400 {
		c, err := net.Dial("tcp", address(port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	told("no room")
	io.WriteString(in, "look\n")
	told("could open 50 files")
	in.Close()
	io.Copy(io.Discard, lines)
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

func serveWithFewDescriptors(t *testing.T) {
	var port int
	var endpoint string
	fmt.Sscan(os.Getenv("DROVER_TEST_PROXY"), &port, &endpoint)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 256, Max: 256}); err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: "127.0.0.1", Log: slog.New(slog.NewTextHandler(os.Stdout, nil))}
	route := forwardTo(endpoint)
	route.External = port
	if err := p.Apply([]cluster.Route{route}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("serving")
	stdin := bufio.NewReader(os.Stdin)
	stdin.ReadString('\n')
	for range 50 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	fmt.Println("could open 50 files")
	stdin.ReadString('\n')
}
