// Package receiver is the target's side of moves: who may bring what to this node, and what is made ready
// before it comes.
//
//	r := &receiver.Receiver{Node: node, Backend: b, Runtime: run, Control: client, Record: record, Log: log}
//	r.Assign(assignment)           // on every change
//	err := r.GetReady(ctx, step)   // checks, prepares, and says so
//	server := &ssh.Server{Backend: r.Inbound(), Peers: r.PeerOf, Permit: r.Permit, Images: r, ...}
//
// What may come follows from the assignment alone: only the source of a move that is open and ends here
// may ship, and only that volume, and the image of its application; and who still runs an application without
// a volume that is to run here, its image.
package receiver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/volume"
)

// Control is what a Receiver needs of the control service. Package client implements it.
type Control interface {
	Ready(ctx context.Context, id cluster.MoveID, r wire.ReadyReport) error
}

// A Receiver is where moves to this node arrive. The exported fields must be set.
type Receiver struct {
	Node    cluster.Node
	Backend volume.Backend
	Runtime runtime.Runtime
	Control Control
	// Record reports an event.
	Record func(ctx context.Context, e cluster.Event)
	Log    *slog.Logger

	mu         sync.Mutex
	assignment cluster.Assignment
	// answered are the attempts that this node has answered.
	answered map[cluster.MoveID]int
	// waiting are the applications that are to move here and wait for their image.
	waiting map[cluster.AppName]runtime.Spec
	// ease gives memory back a while after the last transfer; nil: there was none.
	ease *time.Timer
}

// Assign makes an assignment the current one.
func (r *Receiver) Assign(assignment cluster.Assignment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.assignment = assignment
	maps.DeleteFunc(r.answered, func(id cluster.MoveID, _ int) bool {
		return !slices.ContainsFunc(assignment.Moves, func(m cluster.Move) bool { return m.ID == id })
	})
	maps.DeleteFunc(r.waiting, func(name cluster.AppName, _ runtime.Spec) bool {
		return !slices.ContainsFunc(assignment.Arriving, func(a cluster.Arrival) bool { return a.Application != nil && a.Application.Name == name })
	})
}

// Answered returns the attempts that this node has answered, as their target.
func (r *Receiver) Answered() map[cluster.MoveID]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.answered)
}

// Permit says whether a peer may ship d to this node, and completes it: only the source of a move
// that is open and ends here may, and only until it is committed.
func (r *Receiver) Permit(from cluster.NodeID, d volume.Delta) (volume.Delta, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.assignment.Moves {
		if m.Volume == d.Volume && m.From == from && m.To == r.Node.ID && !m.Phase.Committed() && !m.Phase.Ended() {
			fault.Point("arrive.receive")
			d.Labels = r.labels(m.ID)
			return d, nil
		}
	}
	return d, fmt.Errorf("%w: no move brings volume %s from that node to this one", cluster.ErrForbidden, d.Volume)
}

// labels returns what people call the volume that a move brings here. The caller holds mu.
func (r *Receiver) labels(move cluster.MoveID) volume.Labels {
	for _, arrival := range r.assignment.Arriving {
		if arrival.Move == move {
			l := volume.Labels{Name: arrival.Volume.Name}
			if arrival.Application != nil {
				l.Application = arrival.Application.Name
			}
			return l
		}
	}
	return volume.Labels{}
}

// PeerOf returns the node that a public key, in authorized_keys form, belongs to; none for the key
// of a user.
func (r *Receiver) PeerOf(key string) (cluster.NodeID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.assignment.Nodes {
		if n.TransferKey == key {
			return n.ID, true
		}
	}
	return "", slices.ContainsFunc(r.assignment.Keys, func(k cluster.UserKey) bool { return k.Key == key })
}

// VolumeNames returns what the volumes of which this node has a copy are called.
func (r *Receiver) VolumeNames() map[cluster.VolumeID]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.assignment.VolumeNames()
}

// Arrives reports whether a move brings a volume here.
func (r *Receiver) Arrives(id cluster.VolumeID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.assignment.Arriving, func(a cluster.Arrival) bool { return a.Volume.ID == id })
}

// arrival returns what a move brings here.
func (r *Receiver) arrival(id cluster.MoveID) (cluster.Arrival, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.assignment.Arriving, func(a cluster.Arrival) bool { return a.Move == id && a.From == "" })
	if i < 0 {
		return cluster.Arrival{}, false
	}
	return r.assignment.Arriving[i], true
}
