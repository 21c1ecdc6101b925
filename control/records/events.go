package records

import (
	"fmt"

	"github.com/drover/drover/cluster"
)

// KeptEvents is how many of the newest events are kept, and KeptOfNode how many of them are of one
// node: one that tells of very much does not make what others told be forgotten.
const (
	KeptEvents = 10_000
	KeptOfNode = 2_000
)

func eventKey(id uint64) string { return fmt.Sprintf("%s/%020d", eventNoun, id) }

// Event tells of something that the write does. Its id follows from those before it: two services
// that write at once take the same one, and only one of them succeeds.
func (tx *Tx) Event(e cluster.Event) {
	last := uint64(0)
	if n := len(tx.model.Events); n > 0 {
		last = tx.model.Events[n-1].ID
	}
	e.ID = last + uint64(len(tx.events)) + 1
	tx.events = append(tx.events, e)
}

// Events returns those that the write tells of.
func (tx *Tx) Events() []cluster.Event { return tx.events }

// expireEvents returns the events that are left of those of the model, and those that make room for the
// events of the write.
func (tx *Tx) expireEvents() (left, expired []cluster.Event) {
	left = tx.model.Events
	excess := map[cluster.NodeID]int{} // of the nodes that have more than their part
	for _, e := range tx.events {
		excess[e.Node]++
	}
	delete(excess, "") // of no node
	for id, more := range excess {
		if excess[id] = tx.model.eventsOf.At(id) + more - KeptOfNode; excess[id] <= 0 {
			delete(excess, id)
		}
	}
	if len(excess) > 0 {
		left = nil // others may be reading the model's
		for _, e := range tx.model.Events {
			if excess[e.Node] > 0 {
				excess[e.Node]--
				expired = append(expired, e)
			} else {
				left = append(left, e)
			}
		}
	}
	if more := min(len(left)+len(tx.events)-KeptEvents, len(left)); more > 0 {
		expired, left = append(expired, left[:more]...), left[more:]
	}
	return left, expired
}

// addEvents makes the events of a write the model's.
func (tx *Tx) addEvents(m *Model) {
	if len(tx.events) == 0 {
		return
	}
	left, expired := tx.expireEvents()
	for _, e := range expired {
		m.eventsOf.Put(e.Node, m.eventsOf.At(e.Node)-1)
	}
	for _, e := range tx.events {
		m.eventsOf.Put(e.Node, m.eventsOf.At(e.Node)+1)
	}
	m.Events = append(left, tx.events...)
}
