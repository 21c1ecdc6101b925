// Package rules is what the control service decides: who owns a volume, when a move begins, goes on
// and ends, where routes lead, what may be asked for. It is pure: a write is settled by what is on
// record and what nodes have said, as one View shows it.
//
//	w := rules.Begin(view)
//	err := w.RequestMove(...)   // what is asked for; an error leaves everything as it is
//	w.Reconcile()               // and what follows from it
//	w.Batch()                   // goes to the store
//
// Nothing here waits, reads a clock, draws a random number or sends anything.
package rules

import (
	"fmt"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// A Write is one write in the making, with the one View by which it is judged. What is changed
// through its methods is also noted as in need of being reconciled, and for the nodes that it
// concerns.
type Write struct {
	*records.Tx
	View view.View // as it is; not changed
	// By is who asked for it; zero: the service itself, or somebody of whom it does not know.
	By wire.Caller

	// What to reconcile: volumes and applications of which something changed.
	volumes set[cluster.VolumeID]
	apps    set[cluster.AppName]

	// Concerned are the nodes whose own part of an assignment may have changed.
	Concerned records.Set[cluster.NodeID]
	// Opened are the moves that this write began.
	Opened map[cluster.VolumeID]cluster.MoveID
	// Told are the conflicts that an event of this write tells of.
	Told map[cluster.VolumeID]string

	// unheard reports whether nodes may yet say what they hold.
	unheard func() bool
}

type set[K comparable] = records.Set[K]

// Begin returns a write without changes.
func Begin(v view.View) *Write {
	return &Write{
		Tx: v.Model.Begin(), View: v,
		volumes: set[cluster.VolumeID]{}, apps: set[cluster.AppName]{},
		Concerned: set[cluster.NodeID]{},
		Opened:    map[cluster.VolumeID]cluster.MoveID{}, Told: map[cluster.VolumeID]string{},
		unheard: sync.OnceValue(v.Unheard),
	}
}

// Look asks for a volume to be reconciled though nothing of it changed in the write: time went by,
// or a node reported.
func (w *Write) Look(id cluster.VolumeID) { w.volumes[id] = struct{}{} }

// LookAt asks the same for an application.
func (w *Write) LookAt(name cluster.AppName) { w.apps[name] = struct{}{} }

func (w *Write) concern(nodes ...cluster.NodeID) {
	for _, id := range nodes {
		w.Concerned[id] = struct{}{}
	}
}

// concernVolume concerns the nodes that have to do with a volume.
func (w *Write) concernVolume(id cluster.VolumeID) {
	if o, ok := w.Ownerships.Get(id); ok {
		w.concern(o.Owner)
	}
	if m, ok := w.Tx.OpenMove(id); ok {
		w.concern(m.From, m.To)
	}
	for node := range w.View.Copies(id) { // a later owner among them
		w.concern(node)
	}
}

func (w *Write) putApplication(a cluster.Application) {
	was, existed := w.Applications.Get(a.Name)
	if !w.PutApplication(a) {
		return
	}
	if existed {
		w.forget(was)
	}
	w.concern(a.Node)
	w.LookAt(a.Name)
	if a.Volume != nil {
		w.Look(a.Volume.Volume)
		w.concernVolume(a.Volume.Volume)
	}
}

func (w *Write) dropApplication(a cluster.Application) {
	w.Applications.Drop(a.Name)
	w.forget(a)
}

// forget notes who is concerned by an application being no longer what it was.
func (w *Write) forget(was cluster.Application) {
	w.concern(was.Node)
	w.LookAt(was.Name)
	if was.Volume != nil {
		w.Look(was.Volume.Volume)
		w.concernVolume(was.Volume.Volume)
	}
}

// SetVolume sets a volume.
func (w *Write) SetVolume(v cluster.Volume) {
	was, _ := w.Volumes.Get(v.ID)
	if w.Volumes.Put(w.signed(v, was)) {
		w.Look(v.ID)
		w.concernVolume(v.ID)
	}
}

func (w *Write) putLease(l cluster.Lease) {
	if w.Leases.Put(l) {
		w.Look(l.Volume)
	}
}

func (w *Write) dropLease(id cluster.VolumeID) {
	if w.Leases.Drop(id) {
		w.Look(id)
	}
}

func (w *Write) putOwnership(o cluster.Ownership) {
	was, _ := w.Ownerships.Get(o.Volume)
	if w.PutOwnership(o) {
		w.Look(o.Volume)
		w.concern(was.Owner)
		w.concernVolume(o.Volume)
	}
}

func (w *Write) putMove(m cluster.Move) {
	if w.PutMove(m) {
		w.Look(m.Volume)
		w.concern(m.From, m.To)
	}
}

func (w *Write) putDrain(is records.Drain) {
	w.Drains.Put(is)
	w.concern(is.Node)
}

func (w *Write) dropDrain(was records.Drain) {
	w.Drains.Drop(was.Application)
	w.concern(was.Node)
	if app, ok := w.Applications.Get(was.Application); ok {
		w.concern(app.Node) // which now answers for its logs
	}
}

// openMove returns the move of a volume that has not ended, with the progress that was reported.
func (w *Write) openMove(id cluster.VolumeID) (cluster.Move, bool) {
	m, open := w.OpenMove(id)
	return w.View.Merged(m), open
}

// move returns a move with the progress that was reported.
func (w *Write) move(id cluster.MoveID) (cluster.Move, bool) {
	m, ok := w.Moves.Get(id)
	return w.View.Merged(m), ok
}

// Tell tells of something that the write does.
func (w *Write) Tell(e cluster.Event) {
	if e.Time.IsZero() {
		e.Time = w.View.Wall
	}
	w.Event(e)
}

// tell tells of something that happened to a move.
func (w *Write) tell(m cluster.Move, kind, format string, args ...any) {
	w.Tell(cluster.Event{Move: m.ID, Volume: m.Volume, Application: m.Application, Kind: kind,
		Message: fmt.Sprintf(format, args...)})
}

// caller says who asked for the write; empty if that is not known.
func (w *Write) caller() string {
	switch {
	case w.By.User != "":
		return "user " + w.By.User
	case w.By.Node != "":
		return "Docker on " + w.Node(w.By.Node)
	}
	return ""
}

// by adds who did something to a sentence, if that is known.
func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}
