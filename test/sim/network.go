package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/sleep"
)

// control is the name of the control service's host on the network.
const control = "control"

// A network carries messages between hosts, late, and not at all where it is cut. A cut may be in one
// direction only.
type network struct {
	world *world
	cut   map[[2]string]bool // from, to; guarded by the world's mu
	// deaf are the hosts of which only what asks for assignments gets through to the control service, as on a
	// connection from before that still lives.
	deaf map[string]bool
}

// set cuts or mends the way from one host to another.
func (n *network) set(from, to string, cut bool) {
	n.world.mu.Lock()
	defer n.world.mu.Unlock()
	n.cut[[2]string{from, to}] = cut
}

// mend mends every way.
func (n *network) mend() {
	n.world.mu.Lock()
	defer n.world.mu.Unlock()
	clear(n.cut)
	clear(n.deaf)
}

func (n *network) open(from, to, what string) bool {
	n.world.mu.Lock()
	defer n.world.mu.Unlock()
	silenced := n.deaf[from] && to == control && what != "assignment"
	return from == to || !n.cut[[2]string{from, to}] && !silenced
}

// setDeaf has a host be heard, or not.
func (n *network) setDeaf(from string, deaf bool) {
	n.world.mu.Lock()
	defer n.world.mu.Unlock()
	n.deaf[from] = deaf
}

// silence is how long a sender waits for an answer that does not come.
const silence = 4 * time.Second

// send takes the time that a message takes. One that is lost is waited for in vain, and is
// cluster.ErrUnavailable.
func (n *network) send(ctx context.Context, from, to, what string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d := n.world.dice("net " + from + " " + to + " " + what)
	late := d.between(50*time.Microsecond, 3*time.Millisecond)
	if d.one(50) {
		late *= 100
	}
	if sleep.For(ctx, late) != nil {
		return ctx.Err()
	}
	if n.open(from, to, what) && (n.world.without("loss") || !d.one(400)) {
		return nil
	}
	if sleep.For(ctx, silence) != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: no answer from %s", cluster.ErrUnavailable, to)
}
