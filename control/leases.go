package control

import (
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
)

// leased says which lease keeps a move's volume where it is; empty if none does.
func (d *draft) leased(m cluster.Move) string {
	l, ok := d.leases.get(m.Volume)
	if !ok || l.Node != m.From || l.Expired(now()) {
		return ""
	}
	return fmt.Sprintf("a lease keeps it on %s %s", d.model.node(l.Node), until(l))
}

// until says how long a lease lasts.
func until(l cluster.Lease) string {
	if l.Expires.IsZero() {
		return "until it is released"
	}
	return "until " + l.Expires.UTC().Format(time.RFC3339)
}

// expireLeases drops the leases that have ended.
func (d *draft) expireLeases() {
	for l := range d.model.leases.all() {
		if !l.Expired(now()) {
			continue
		}
		d.dropLease(l.Volume)
		d.event(cluster.Event{Volume: l.Volume, Node: l.Node, Kind: "lease expired",
			Message: fmt.Sprintf("the lease on volume %s on %s expired", d.model.volume(l.Volume), d.model.node(l.Node))})
	}
}
