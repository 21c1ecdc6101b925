package proxy

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHalfClose(t *testing.T) {
	t.Run("the client may end first and still be answered", func(t *testing.T) {
		r := newRig(t)
		r.forward(backend(t, func(c *net.TCPConn) {
			question, err := io.ReadAll(c)
			if err == nil {
				io.WriteString(c, strings.ToUpper(string(question)))
			}
		}))
		c := r.dial()
		io.WriteString(c, "question")
		c.CloseWrite()
		if answer, err := io.ReadAll(c); err != nil || string(answer) != "QUESTION" {
			t.Errorf("the answer is %q, %v", answer, err)
		}
	})
	t.Run("the application may end first and still be told", func(t *testing.T) {
		told := make(chan string, 1)
		r := newRig(t)
		r.forward(backend(t, func(c *net.TCPConn) {
			io.WriteString(c, "bye")
			c.CloseWrite()
			last, err := io.ReadAll(c)
			if err != nil {
				t.Errorf("the application read: %v", err)
			}
			told <- string(last)
		}))
		c := r.dial()
		if got, err := io.ReadAll(c); err != nil || string(got) != "bye" {
			t.Fatalf("the client read %q, %v", got, err)
		}
		io.WriteString(c, "last words")
		c.CloseWrite()
		if got := <-told; got != "last words" {
			t.Errorf("the application was told %q", got)
		}
		eventually(t, "the connection has ended", func() bool { return r.stats().Open == 0 })
	})
}

func TestEndIsPassedOn(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes int
	}{
		{"of a connection without a byte", 0},
		{"together with the only bytes", 100},
		{"after bulk", 4 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.forward(backend(t, func(c *net.TCPConn) { c.Write(make([]byte, tt.bytes)) }))
			if n, err := io.Copy(io.Discard, r.dial()); err != nil || n != int64(tt.bytes) {
				t.Errorf("the client read %d bytes, %v; want %d", n, err, tt.bytes)
			}
		})
	}
}

func TestResetIsPassedOn(t *testing.T) {
	t.Run("from the application", func(t *testing.T) {
		r := newRig(t)
		r.forward(backend(t, func(c *net.TCPConn) {
			io.ReadFull(c, make([]byte, 1))
			c.SetLinger(0)
		}))
		c := r.dial()
		io.WriteString(c, "x")
		mustReset(t, c)
	})
	t.Run("from the client", func(t *testing.T) {
		ended := make(chan error, 1)
		r := newRig(t)
		r.forward(backend(t, func(c *net.TCPConn) {
			_, err := io.Copy(io.Discard, c)
			ended <- err
		}))
		c := r.dial()
		eventually(t, "the connection is open", func() bool { return r.stats().Open == 1 })
		c.SetLinger(0)
		c.Close()
		if err := <-ended; err == nil {
			t.Error("the application saw an end in order, want a reset")
		}
	})
	t.Run("to an application that was still sending", func(t *testing.T) {
		ended := make(chan error, 1)
		r := newRig(t)
		r.forward(backend(t, func(c *net.TCPConn) {
			for {
				if _, err := c.Write(make([]byte, 64<<10)); err != nil {
					ended <- err
					return
				}
			}
		}))
		c := r.dial()
		io.ReadFull(c, make([]byte, 1<<20))
		c.Close() // with bytes unread
		if err := <-ended; err == nil {
			t.Error("the application was never told")
		}
		eventually(t, "the connection has ended", func() bool { return r.stats().Open == 0 })
	})
}

func TestAnswerBeforeTheQuestionIsRead(t *testing.T) {
	const answer = "413 too large"
	r := newRig(t)
	r.forward(backend(t, func(c *net.TCPConn) {
		io.WriteString(c, answer)
		io.ReadFull(c, make([]byte, 100))
		c.SetLinger(0)
	}))
	c := r.dial()
	mustRead(t, c, answer)
	for { // until the application's reset has come all the way back
		if _, err := c.Write(make([]byte, 64<<10)); err != nil {
			break
		}
	}
	eventually(t, "the connection has ended", func() bool { return r.stats().Open == 0 })
}

func TestSlowReaderHoldsTheWriterBack(t *testing.T) {
	const total = 64 << 20 // more than all socket buffers on the way take
	r := newRig(t)
	sent := make(chan error, 1)
	r.forward(backend(t, func(c *net.TCPConn) {
		_, err := c.Write(make([]byte, total))
		sent <- err
	}))
	c := r.dial()
	buf := make([]byte, 1000)
	for range 50 {
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Microsecond) // the rule is about a slow reader
	}
	n, err := io.Copy(io.Discard, c)
	if want := int64(total - 50*len(buf)); err != nil || n != want {
		t.Errorf("the rest was %d bytes, %v; want %d", n, err, want)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestKeepaliveAndNoDelay(t *testing.T) {
	r := newRig(t)
	r.forward(named(t, "a"))
	mustRead(t, r.dial(), "a")
	rt := r.proxy.routes[r.port]
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for c := range rt.conns {
		for side, s := range map[string]*socket{"client": c.client, "server": c.server} {
			checkOptions(t, side, s)
		}
	}
}

func checkOptions(t *testing.T, side string, s *socket) {
	t.Helper()
	s.raw.Control(func(fd uintptr) {
		for _, o := range []struct {
			what              string
			level, name, want int
		}{
			{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(DefaultSilence.Seconds()) / 2},
			{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(DefaultStall.Milliseconds())},
		} {
			if got, err := unix.GetsockoptInt(int(fd), o.level, o.name); err != nil || got != o.want {
				t.Errorf("%s of the %s is %d, %v; want %d", o.what, side, got, err, o.want)
			}
		}
	})
}
