package membership_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// dial connects from an address of this host that nobody else uses.
func (g *gossip) dial(from string, to cluster.NodeID) net.Conn {
	g.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := dialer.Dial("tcp", g.where[to])
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// TestStrangersFillNoMemory: however much they announce and send, from however many hosts. And friends are
// found meanwhile.
func TestStrangersFillNoMemory(t *testing.T) {
	const strangers, announced = 30, 20 << 20
	g := newGossip(t)
	a := g.start("a", key)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	var sending sync.WaitGroup
	rubbish := make([]byte, 1<<20)
	for n := range strangers {
		c := g.dial(fmt.Sprintf("127.250.0.%d", n+1), "a")
		c.Write(binary.BigEndian.AppendUint32([]byte{10}, announced)) // an encrypted message of that size
		sending.Go(func() {
			for range announced/len(rubbish) - 1 { // it never ends
				if _, err := c.Write(rubbish); err != nil {
					return
				}
			}
			io.Copy(io.Discard, c)
		})
	}
	g.start("b", key)
	g.misses(a, "c")
	var most uint64
	over := make(chan struct{})
	go func() { sending.Wait(); close(over) }()
	for look := time.NewTicker(20 * time.Millisecond); ; {
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapInuse)
		select {
		case <-look.C:
			continue
		case <-over:
		}
		break
	}
	if grown := int64(most) - int64(before.HeapInuse); grown > 100<<20 {
		t.Errorf("the memory grew by %d MiB", grown>>20)
	}
}

// TestOneHostHasFewConnections: more than a friend ever needs are closed at once.
func TestOneHostHasFewConnections(t *testing.T) {
	g := newGossip(t)
	g.start("a", key)
	closed := make(chan error, 100)
	for range cap(closed) {
		c := g.dial("127.250.0.1", "a")
		go func() {
			began := time.Now()
			_, err := io.Copy(io.Discard, c)
			if time.Since(began) > 5*time.Second {
				err = fmt.Errorf("after %s: %v", time.Since(began), err)
			} else {
				err = nil
			}
			closed <- err
		}()
	}
	kept := 0
	for range cap(closed) {
		if err := <-closed; err != nil {
			kept++
		}
	}
	if kept == 0 || kept > 8 {
		t.Errorf("%d of %d connections were kept", kept, cap(closed))
	}
}
