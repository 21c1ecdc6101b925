package rules

import (
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
)

// leased says which lease keeps a move's volume where it is; empty if none does.
func (w *Write) leased(m cluster.Move) string {
	l, ok := w.Leases.Get(m.Volume)
	if !ok || l.Node != m.From || l.Expired(w.View.Wall) {
		return ""
	}
	return fmt.Sprintf("a lease keeps it on %s %s", w.Node(l.Node), Until(l))
}

// Until says how long a lease lasts.
func Until(l cluster.Lease) string {
	if l.Expires.IsZero() {
		return "until it is released"
	}
	return "until " + l.Expires.UTC().Format(time.RFC3339)
}

// expireLeases drops the leases that have ended.
func (w *Write) expireLeases() {
	for l := range w.Leases.All() {
		if !l.Expired(w.View.Wall) {
			continue
		}
		w.dropLease(l.Volume)
		w.Tell(cluster.Event{Volume: l.Volume, Node: l.Node, Kind: "lease expired",
			Message: fmt.Sprintf("the lease on volume %s on %s expired", w.Volume(l.Volume), w.Node(l.Node))})
	}
}
