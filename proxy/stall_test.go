package proxy

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// floods is an application that sends for as long as somebody takes it, and says when it was stopped.
func floods(t testing.TB) (endpoint string, stopped chan error) {
	t.Helper()
	stopped = make(chan error, 100)
	return backend(t, func(c *net.TCPConn) {
		for {
			if _, err := c.Write(make([]byte, 256<<10)); err != nil {
				stopped <- err
				return
			}
		}
	}), stopped
}

// TestAClientThatReadsNothingPinsNoPipe: what was in it waits in memory, and all of it arrives.
func TestAClientThatReadsNothingPinsNoPipe(t *testing.T) {
	const clients, blocks = 4, 24 // of a megabyte: more than the sockets on the way take
	block := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(block)
	r := newRig(t)
	r.forward(backend(t, func(c *net.TCPConn) {
		c.SetDeadline(time.Time{})
		for range blocks {
			c.Write(block)
		}
	}))
	var all []*net.TCPConn
	for range clients {
		all = append(all, r.dial())
	}
	var bytes int64
	eventually(t, "nothing moves any more", func() bool {
		last := bytes
		time.Sleep(pinned / 2)
		bytes = r.stats().Bytes
		return bytes == last && bytes > 0
	})
	eventually(t, "the pipes were given back", func() bool { return r.lentPipes() == 0 })
	for _, c := range all {
		c.SetDeadline(time.Now().Add(patient))
		got, err := io.ReadAll(c)
		if err != nil || len(got) != blocks<<20 {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		for i := range blocks {
			if string(got[i<<20:(i+1)<<20]) != string(block) {
				t.Fatalf("megabyte %d is not what was sent", i)
			}
		}
	}
}

// lentPipes is how many pipes directions have now.
func (r *rig) lentPipes() int {
	s := &r.proxy.supply
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.share.of
	b.mu.Lock()
	defer b.mu.Unlock()
	return s.share.used/2 - len(s.spare)
}

// TestAPeerThatTakesNothingIsLeft: after the stall time, whichever side it is.
func TestAPeerThatTakesNothingIsLeft(t *testing.T) {
	t.Run("a client", func(t *testing.T) {
		r := newRig(t)
		r.proxy.Stall = time.Second
		at, stopped := floods(t)
		r.forward(at)
		r.dial()
		select {
		case <-stopped:
		case <-time.After(patient):
			t.Fatal("a client that reads nothing is kept")
		}
		eventually(t, "the connection has ended", func() bool { return r.stats().Open == 0 })
	})
	t.Run("an application", func(t *testing.T) {
		r := newRig(t)
		r.proxy.Stall = time.Second
		hang := make(chan struct{})
		defer close(hang)
		r.forward(backend(t, func(*net.TCPConn) { <-hang }))
		c := r.dial()
		var err error
		for err == nil {
			_, err = c.Write(make([]byte, 256<<10))
		}
		if os.IsTimeout(err) {
			t.Fatal("an application that reads nothing is kept")
		}
	})
	t.Run("but not one that is slow", func(t *testing.T) {
		r := newRig(t)
		r.proxy.Stall = 2 * time.Second
		at, stopped := floods(t)
		r.forward(at)
		c := r.dial()
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end); { // the kernel's clock counts
			if _, err := io.ReadFull(c, make([]byte, 512<<10)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if len(stopped) > 0 {
			t.Error("the application was stopped")
		}
	})
}

// TestAnInterruptIsForGood: a deadline that is set at the same time does not undo it.
func TestAnInterruptIsForGood(t *testing.T) {
	_, s := tcpPair(t)
	s.interrupt()
	s.writeBy(time.Time{})
	full := make([]byte, 1<<20)
	err := s.raw.Write(func(fd uintptr) bool {
		_, errno := send(fd, full, 0)
		return errno != 0 && errno != unix.EAGAIN
	})
	if err == nil || !s.interrupted() {
		t.Errorf("it writes on: %v", err)
	}
	runtime.KeepAlive(full)
}
