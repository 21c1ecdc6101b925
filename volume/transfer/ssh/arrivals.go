package ssh

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
)

// Arrivals are the streams that are being received: one per volume or image at most. The zero value holds
// none.
type arrivals struct {
	mu  sync.Mutex
	now map[string]*arrival
}

// An arrival is one stream that is being received.
type arrival struct {
	from cluster.NodeID
	conn ssh.Conn
	over chan struct{} // closed when the backend has let go of the volume
}

// begin registers an arrival. While there is another one for the same, the result is
// cluster.ErrConflict. But one whose sender came back on a new connection, because the old one
// is dead, is cut first: then the result is cluster.ErrUnavailable, because what it has left
// behind must be looked at before anything more is sent.
func (a *arrivals) begin(ctx context.Context, what string, next *arrival) error {
	a.mu.Lock()
	old := a.now[what]
	if old == nil {
		if a.now == nil {
			a.now = map[string]*arrival{}
		}
		a.now[what] = next
	}
	a.mu.Unlock()
	switch {
	case old == nil:
		return nil
	case !old.cutFor(ctx, next.from, next.conn):
		return fmt.Errorf("%w: another transfer of %s is under way", cluster.ErrConflict, what)
	}
	return fmt.Errorf("%w: an earlier transfer of %s was under way and has been cut", cluster.ErrUnavailable, what)
}

// settle cuts an arrival of the volume whose sender has come back on another connection, so that
// what is read of the copy next is what the arrival has left behind. Read while the backend still
// works on it, the copy may have no token yet, and the sender would start over.
func (a *arrivals) settle(ctx context.Context, what string, from cluster.NodeID, conn ssh.Conn) {
	a.mu.Lock()
	old := a.now[what]
	a.mu.Unlock()
	if old != nil {
		old.cutFor(ctx, from, conn)
	}
}

// cutFor cuts an arrival whose connection is dead for the same node on another one, and waits
// until the backend has let go of the volume. It reports whether the arrival was cut.
func (a *arrival) cutFor(ctx context.Context, from cluster.NodeID, conn ssh.Conn) bool {
	if a.from != from || a.conn == conn || answers(ctx, a.conn, probeTimeout) {
		return false
	}
	a.conn.Close() // it does not answer any more
	select {
	case <-a.over:
	case <-ctx.Done():
	}
	return true
}

// volumeKey names the arrival of a volume.
func volumeKey(id cluster.VolumeID) string { return "volume " + string(id) }

// end takes an arrival off the list.
func (a *arrivals) end(what string, it *arrival) {
	a.mu.Lock()
	delete(a.now, what)
	a.mu.Unlock()
	close(it.over)
}
