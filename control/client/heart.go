package client

import (
	"cmp"
	"encoding/json"
	"io"
	"net"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// beatWait is how long a poll lasts at least in which heartbeats go: by them, and not by its coming again, the service
// knows that who polls is there.
const beatWait = 30 * time.Second

// beatMargin is by how much longer a service may wait than a poll with heartbeats is to last: the client ends it.
const beatMargin = 5 * time.Second

// A heart brings heartbeats in the body of the long poll, to a service that takes them there: one connection of an
// agent does for both. Between two polls a heartbeat waits for the next one.
type heart struct {
	mu    sync.Mutex
	node  cluster.NodeID // whose polls take heartbeats; empty: nobody's, as far as that is known
	asked cluster.NodeID // who polled last
	next  chan wire.Heartbeat
	wait  time.Duration // how long a poll that takes them lasts at least; zero: beatWait
	last  time.Time     // a heartbeat; who sends none is known by its polls, which last no longer than it says
}

// poll returns the body of a poll, and how long the service may wait; nil: it has none.
func (h *heart) poll(node cluster.NodeID, wait time.Duration) (*beats, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked = node; h.node != node || wait == 0 || time.Since(h.last) > wire.LivenessWindow {
		return nil, wait
	}
	wait = max(wait, cmp.Or(h.wait, beatWait))
	return &beats{next: h.next, limit: time.NewTimer(wait), ended: make(chan struct{})}, wait + beatMargin // the end of the body ends the wait
}

// takes notes whether the service that has answered a poll takes heartbeats in the next one.
func (h *heart) takes(it bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == nil {
		h.next = make(chan wire.Heartbeat, 1)
	}
	if h.node = ""; it {
		h.node = h.asked
	}
}

// stop is called when a poll has failed: who answers the next one is not known.
func (h *heart) stop() {
	h.takes(false)
	select {
	case <-h.next:
	default:
	}
}

// beat reports whether the heartbeat goes with the poll. One that has not gone yet gives way to it.
func (h *heart) beat(node cluster.NodeID, b wire.Heartbeat) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last = time.Now(); h.node != node {
		return false
	}
	select {
	case <-h.next:
	default:
	}
	h.next <- b // nobody else sends
	return true
}

// beats are the body of one poll: it has a line when there is one, and ends when it is closed, its time is over, or its
// connection is closed.
type beats struct {
	by    *connection // nil: another kind, of a test
	next  <-chan wire.Heartbeat
	rest  []byte
	limit *time.Timer
	once  sync.Once
	ended chan struct{}
}

func (b *beats) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		select {
		case <-b.ended:
			return 0, io.EOF
		case <-b.limit.C:
			return 0, io.EOF
		case <-b.by.gone():
			return 0, net.ErrClosed
		case next := <-b.next:
			line, err := json.Marshal(next)
			if err != nil {
				return 0, err
			}
			b.rest = append(line, '\n')
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close ends it, also while it is read.
func (b *beats) Close() error {
	b.once.Do(func() {
		b.limit.Stop()
		close(b.ended)
		b.by.bound(0) // other requests may go by it, and wait for who reads slowly
	})
	return nil
}
