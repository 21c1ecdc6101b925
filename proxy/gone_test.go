package proxy

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asked is an application that counts the requests that were made of it, and answers each when it has
// ended.
func asked(t testing.TB) (endpoint string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	return backend(t, func(c *net.TCPConn) {
		request, err := io.ReadAll(c)
		if len(request) > 0 {
			requests.Add(1)
		}
		if err == nil {
			io.WriteString(c, strings.ToUpper(string(request)))
		}
	}), requests
}

// TestClientsThatLeftDuringAHold: nobody's request is done who no longer waits for the answer.
func TestClientsThatLeftDuringAHold(t *testing.T) {
	const clients = 50
	for _, row := range []struct {
		rule  string
		leave func(*net.TCPConn)
	}{
		{"closed", func(c *net.TCPConn) { c.Close() }},
		{"closed after their end", func(c *net.TCPConn) { c.CloseWrite(); c.Close() }},
		{"reset", func(c *net.TCPConn) { c.SetLinger(0); c.Close() }},
	} {
		t.Run(row.rule, func(t *testing.T) {
			r := newRig(t)
			at, requests := asked(t)
			r.hold("m1", at)
			for range clients {
				c := r.dial()
				io.WriteString(c, "transfer the money")
				row.leave(c)
			}
			stays := r.dial()
			io.WriteString(stays, "look")
			eventually(t, "all clients wait, or have been noticed already", func() bool { s := r.stats(); return s.Held+s.Failed == clients+1 })
			r.forward(at)
			stays.CloseWrite()
			if answer, err := io.ReadAll(stays); err != nil || string(answer) != "LOOK" {
				t.Errorf("who stayed is answered %q, %v", answer, err)
			}
			eventually(t, "all others are closed", func() bool { s := r.stats(); return s.Failed == clients && s.Open == 0 })
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests were made, want that of the client who stayed", n)
			}
		})
	}
}

// TestWhoLeavesAHoldTakesNoRoom: it need not be over.
func TestWhoLeavesAHoldTakesNoRoom(t *testing.T) {
	r := newRig(t)
	at, requests := asked(t)
	r.hold("m1", at)
	left, stays := r.dial(), r.dial()
	io.WriteString(left, "transfer the money")
	io.WriteString(stays, "look")
	eventually(t, "the clients wait", func() bool { return r.stats().Held == 2 })
	left.Close()
	eventually(t, "one has left", func() bool { s := r.stats(); return s.Held == 1 && s.Failed == 1 })
	r.forward(at)
	stays.CloseWrite()
	if answer, err := io.ReadAll(stays); err != nil || string(answer) != "LOOK" || requests.Load() != 1 {
		t.Errorf("the other one is answered %q, %v, after %d requests", answer, err, requests.Load())
	}
}

// TestAHalfCloseDuringAHoldIsNoGoodbye: whoever has said all that it has to say, and reads, is served.
func TestAHalfCloseDuringAHoldIsNoGoodbye(t *testing.T) {
	r := newRig(t)
	at, _ := asked(t)
	r.hold("m1", at)
	c := r.dial()
	io.WriteString(c, "question")
	time.Sleep(2 * breath) // it takes its time, and is on this host, where it can be told all the same
	c.CloseWrite()
	eventually(t, "the client waits", func() bool { return r.stats().Held == 1 })
	r.forward(at)
	if answer, err := io.ReadAll(c); err != nil || string(answer) != "QUESTION" {
		t.Errorf("the answer is %q, %v", answer, err)
	}
}

// TestWhatTheKernelKnowsOfAPeer: of its own sockets whether they are held, of others nothing.
func TestWhatTheKernelKnowsOfAPeer(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil && host == "::1" {
			t.Logf("this host has no IPv6: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		local, remote := a.LocalAddr().(*net.TCPAddr).AddrPort(), c.LocalAddr().(*net.TCPAddr).AddrPort()
		if held, known := peerHeld(local, remote); !held || !known {
			t.Errorf("%s: held %t, known %t of a client that is there", host, held, known)
		}
		c.(*net.TCPConn).CloseWrite()
		if held, known := peerHeld(local, remote); !held || !known {
			t.Errorf("%s: held %t, known %t of a client that reads on", host, held, known)
		}
		c.Close()
		eventually(t, "the kernel has seen that it closed", func() bool { held, known := peerHeld(local, remote); return known && !held })
	}
	if _, known := peerHeld(netip.MustParseAddrPort("127.0.0.1:80"), netip.MustParseAddrPort("192.0.2.1:40000")); known {
		t.Error("a socket of another host is known")
	}
}

// TestAnEndThatComesLateIsAGoodbye: of a client on another host the kernel knows nothing but
// when it was heard.
func TestAnEndThatComesLateIsAGoodbye(t *testing.T) {
	for _, row := range []struct {
		rule  string
		after time.Duration
		gone  bool
	}{
		{"an end that comes with the last byte belongs to the request", 0, false},
		{"one that comes a while after it is a goodbye", 3 * breath, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			client, s := tcpPair(t)
			io.WriteString(client, "question")
			time.Sleep(row.after) // the kernel's clocks are what it is about
			client.CloseWrite()
			eventually(t, "the end has come", func() bool { return s.state() == tcpCloseWait })
			if got := s.endedLate(); got != row.gone {
				t.Errorf("the end came late: %t, want %t", got, row.gone)
			}
			time.Sleep(2 * breath) // and for how long ago makes no difference
			if got := s.endedLate(); got != row.gone {
				t.Errorf("later on: the end came late: %t, want %t", got, row.gone)
			}
		})
	}
}

func (s *socket) state() (state uint8) {
	s.raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = info.State
		}
	})
	return state
}

func (s *socket) endedLate() (late bool) {
	s.raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			late = endedLate(info)
		}
	})
	return late
}
