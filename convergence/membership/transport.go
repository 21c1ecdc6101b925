package membership

import (
	"errors"
	"log"
	"net"
	"sync"

	"github.com/hashicorp/memberlist"
)

// memberlist reads a message of up to 20 MiB whole before it can tell by the key who sent it. So what all who
// connect can make it keep is bounded here: a friend's state is about a hundred bytes for each node.
const (
	mostStreams = 64       // at once
	ofOneHost   = 8        // of these
	mostHeld    = 16 << 20 // bytes that were read from all streams that are open
	// greed is how many times what one stream holds must still be free: one that takes all that it may leaves
	// room for others.
	greed = 4
)

// A transport is memberlist's own, with bounds for who connects to it.
type transport struct {
	*memberlist.NetTransport
	streams chan net.Conn
	ending  chan struct{} // closed when nothing is handed on any more
	ended   chan struct{} // closed when nothing comes any more
	once    sync.Once

	mu   sync.Mutex
	open map[string]int // by host
	all  int
	held int
}

func listen(address string, port int, logger *log.Logger) (*transport, error) {
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{address}, BindPort: port, Logger: logger})
	if err != nil {
		return nil, err
	}
	t := &transport{NetTransport: inner, streams: make(chan net.Conn), ending: make(chan struct{}), ended: make(chan struct{}), open: map[string]int{}}
	go t.accept()
	return t, nil
}

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport.
func (t *transport) Shutdown() (err error) {
	t.once.Do(func() {
		close(t.ending)
		err = t.NetTransport.Shutdown() // waits for its last connection to be taken
		close(t.ended)
	})
	return err
}

// accept hands on the connections that there is room for, and closes the others.
func (t *transport) accept() {
	for {
		select {
		case <-t.ended:
			return
		case c := <-t.NetTransport.StreamCh():
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			if !t.admit(host) {
				c.Close()
				continue
			}
			s := &stream{Conn: c, of: t, host: host}
			select {
			case t.streams <- s:
			case <-t.ending:
				s.Close()
			}
		}
	}
}

func (t *transport) admit(host string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == mostStreams || t.open[host] == ofOneHost {
		return false
	}
	t.all++
	t.open[host]++
	return true
}

// A stream is a connection of somebody, with what was read of it.
type stream struct {
	net.Conn
	of   *transport
	host string

	// Under of.mu.
	held int
	over bool
}

var errTooMuch = errors.New("more was sent than there is room for")

// Read implements net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if !s.over {
		s.held += n
		s.of.held += n
	}
	if greed*s.held > mostHeld-(s.of.held-s.held) {
		return 0, errTooMuch
	}
	return n, err
}

// Close implements net.Conn.
func (s *stream) Close() error {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if !s.over {
		s.over = true
		s.of.held -= s.held
		s.of.all--
		if s.of.open[s.host]--; s.of.open[s.host] == 0 {
			delete(s.of.open, s.host)
		}
	}
	return s.Conn.Close()
}
