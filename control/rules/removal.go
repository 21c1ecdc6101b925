package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/wire"
)

// RemoveNode forgets a node, on the word of an operator that it is gone for good, and says what becomes of
// all that it had. A replacement gets what was placed there, and owns the volumes that it can take over by the
// rule of TakeOverVolume; others stay on record as the removed node's, until a replica takes over or the node
// is let in again. A node that shows any sign of life is refused: it may write.
func (w *Write) RemoveNode(node string, r wire.RemovalRequest) (wire.Removal, error) {
	id, err := w.resolve(node)
	if err != nil {
		return wire.Removal{}, err
	}
	gone, _ := w.Nodes.Get(id)
	rm := &removal{Write: w, gone: id, out: wire.Removal{Node: gone, Consequences: []string{}}}
	if r.Replacement != "" {
		rm.to, err = w.replacement(id, r.Replacement)
		if errors.Is(err, cluster.ErrInvalid) || errors.Is(err, cluster.ErrNotFound) {
			return wire.Removal{}, err // it could not be whatever becomes of the one that is gone
		}
		to, _ := w.Nodes.Get(rm.to)
		rm.out.Replacement = &to
	}
	if err := cmp.Or(w.unaccepted(), w.alive(id), err); err != nil {
		return wire.Removal{}, err
	}
	w.Nodes.Drop(id)
	w.Accepted.Drop(id)
	w.Speakers.Drop(id)
	w.Removed.Put(cluster.RemovedNode{ID: id, Name: gone.Name, Address: gone.Address, At: w.View.Wall, By: w.caller(), Replacement: rm.to})
	rm.everything()
	if r.Confirmed && rm.to != "" && len(rm.out.Lost) > 0 && !r.Leave {
		err := fmt.Errorf("%w: %s cannot take over %s", cluster.ErrRefused, w.Node(rm.to), strings.Join(rm.out.Lost, ", "))
		return wire.Removal{}, cluster.WithHint(err, "to go on all the same: --leave; each stays without an owner until a replica takes over (drover volume takeover), or the node is let in again")
	}
	rm.tell()
	return rm.out, nil
}

// alive says why a node may still run; nil if nothing says so.
func (w *Write) alive(id cluster.NodeID) error {
	called, n := w.Node(id), w.View.Seen.Nodes.At(id)
	refused := func(format string, args ...any) error {
		err := fmt.Errorf("%w: %s %s", cluster.ErrRefused, called, fmt.Sprintf(format, args...))
		return cluster.WithHint(err, fmt.Sprintf("move away what it has (drover move APPLICATION NODE), stop its agent, and remove it once it has been silent for %s", w.View.Timing.Liveness))
	}
	switch {
	case n == nil:
	case n.Rival != "":
		return refused("is there twice: two agents speak as it")
	case w.View.InTouch(id):
		return refused("was heard of %s ago", w.View.Silence(id).Round(time.Second))
	case !n.Asked.IsZero() && w.View.Now.Sub(n.Asked) <= w.View.Timing.Liveness:
		return refused("does not report, but asks for its assignment")
	case !n.Spoke.IsZero() && w.View.Now.Sub(n.Spoke) <= w.View.Timing.Liveness:
		return refused("does not report, but its Docker plugin called %s ago", w.View.Now.Sub(n.Spoke).Round(time.Second))
	case w.View.Awaited(id):
		return fmt.Errorf("%w: the control service was started %s ago, and %s may yet say that it is there", cluster.ErrUnavailable,
			w.View.Now.Sub(w.View.Started).Round(time.Second), called)
	}
	for other := range w.Nodes.Each() {
		if w.View.Hears(other, id) {
			return refused("does not reach the control service, but %s hears it", w.Node(other))
		}
	}
	return nil
}

// replacement returns the node that takes the place of one that is gone.
func (w *Write) replacement(gone cluster.NodeID, by string) (cluster.NodeID, error) {
	to, err := w.resolve(by)
	if err != nil {
		return to, err
	}
	n, _ := w.Nodes.Get(to)
	switch {
	case to == gone:
		return to, fmt.Errorf("%w: %s cannot take its own place", cluster.ErrInvalid, w.Node(to))
	case n.RoutesOnly:
		return to, fmt.Errorf("%w: node %s only routes: it runs no applications and keeps no volumes", cluster.ErrInvalid, w.Node(to))
	case !w.View.InTouch(to):
		return to, fmt.Errorf("%w: %s has not been heard of for %s", cluster.ErrUnavailable, w.Node(to), w.View.Silence(to).Round(time.Second))
	}
	return to, nil
}

// known reports whether a node is on record.
func (w *Write) known(id cluster.NodeID) bool {
	_, known := w.Nodes.Get(id)
	return known
}

// ReadmitNode lets a node that was removed register again. It owns what is still on record as its own; of what
// others have taken over, its copy is put aside and reported.
func (w *Write) ReadmitNode(nameOrID string) (cluster.RemovedNode, error) {
	r, ok := w.RemovedNamed(nameOrID)
	if !ok {
		return r, fmt.Errorf("%w among the removed ones", records.NotFound("node", nameOrID))
	}
	w.Removed.Drop(r.ID)
	for id := range w.View.Model.Index.Owned.Of(r.ID) {
		w.Look(id)
	}
	w.Tell(cluster.Event{Kind: "readmitted", Message: fmt.Sprintf("node %s may register again%s", cmp.Or(r.Name, string(r.ID)), by(w.caller()))})
	return r, nil
}

// A removal is what follows for everything that a removed node had, in words as it is done.
type removal struct {
	*Write
	gone, to cluster.NodeID
	out      wire.Removal
}

func (rm *removal) say(format string, args ...any) {
	rm.out.Consequences = append(rm.out.Consequences, fmt.Sprintf(format, args...))
}

func (rm *removal) tell() {
	message := fmt.Sprintf("node %s was removed%s", rm.Node(rm.gone), by(rm.caller()))
	if rm.to != "" {
		message += fmt.Sprintf("; %s takes its place", rm.Node(rm.to))
	}
	rm.Tell(cluster.Event{Node: rm.gone, Kind: "removed", Message: message})
}

func (rm *removal) everything() {
	index := rm.View.Model.Index
	for _, m := range rm.View.Model.OpenMoves() {
		rm.move(m)
	}
	for l := range rm.Leases.All() {
		if l.Node == rm.gone {
			rm.dropLease(l.Volume)
			rm.say("the lease on volume %s ends", rm.Volume(l.Volume))
		}
	}
	for id := range index.Owned.Of(rm.gone) {
		rm.volume(id)
	}
	for id := range index.Ownerless.Keys() {
		rm.unowned(id)
	}
	for name := range index.Placed.Of(rm.gone) {
		rm.application(name)
	}
	for name := range index.Drained.Of(rm.gone) {
		rm.LookAt(name)
	}
}

// move ends a move from or to the node. One that is committed from it goes on: the target has all. One that
// is committed to it ends with a takeover, or here.
func (rm *removal) move(m cluster.Move) {
	m = rm.View.Merged(m)
	if m.Phase.Committed() || m.From != rm.gone && m.To != rm.gone {
		return
	}
	rm.rollBack(m, fmt.Sprintf("%s was removed", rm.Node(rm.gone)))
	rm.say("%s does not move from %s to %s", rm.Mover(m), rm.Node(m.From), rm.Node(m.To))
}

// keptElsewhere reports whether a snapshot is on another node than the one that is removed.
func (rm *removal) keptElsewhere(id cluster.VolumeID, name cluster.SnapshotName) bool {
	for node, c := range rm.View.Copies(id) {
		if node != rm.gone && slices.ContainsFunc(c.Snapshots, func(s cluster.Snapshot) bool { return s.Name == name }) {
			return true
		}
	}
	return false
}

// volume gives a volume of the node to its replacement, or says who could take it over.
func (rm *removal) volume(id cluster.VolumeID) {
	v, _ := rm.Volumes.Get(id)
	name := records.Name(v)
	rm.Look(id)
	if app, used := rm.User(id); used {
		rm.LookAt(app.Name)
	}
	if v.Deleted {
		rm.say("volume %s, which is deleted, cannot be undeleted", name)
		return
	}
	for _, wish := range v.Snapshots {
		if !rm.keptElsewhere(id, wish.Name) {
			rm.say("snapshot %s of volume %s, which a user keeps, is nowhere else", wish.Name, name)
		}
	}
	o, _ := rm.Ownerships.Get(id)
	user := ""
	if app, used := rm.User(id); used && app.Node != "" {
		user = fmt.Sprintf(", and application %s is down", app.Name)
	}
	if rm.to != "" {
		_, err := rm.takeOver(v, wire.TakeoverRequest{Node: string(rm.to)})
		if err == nil {
			events := rm.Events()
			rm.say("%s", events[len(events)-1].Message)
			return
		}
		rm.say("volume %s: %s cannot take it over: %s", name, rm.Node(rm.to), cluster.Message(err))
	}
	if m, open := rm.openMove(id); open && m.To == rm.gone {
		m.Phase, m.Ended, m.Reason = cluster.PhaseRolledBack, rm.View.Wall, fmt.Sprintf("%s was removed before it served", rm.Node(rm.gone))
		rm.putMove(m)
		rm.Write.tell(m, "rolled back", "%s did not get to %s: %s", rm.Mover(m), rm.Node(m.To), m.Reason)
	}
	rm.out.Lost = append(rm.out.Lost, "volume "+name)
	rm.say("volume %s has no owner that is there%s: %s", name, user, rm.View.WaysOut(v, o))
}

// unowned places a volume that has no owner yet with the replacement.
func (rm *removal) unowned(id cluster.VolumeID) {
	v, _ := rm.Volumes.Get(id)
	if _, owned := rm.Ownerships.Get(v.ID); owned || v.Primary != rm.gone || v.Deleted {
		return
	}
	if rm.to == "" {
		rm.say("volume %s was not made yet: place it on another node", records.Name(v))
		return
	}
	rm.wish(v.ID, rm.to)
	rm.say("volume %s, which was not made yet, is made on %s", records.Name(v), rm.Node(rm.to))
}

// application places an application without a volume with the replacement.
func (rm *removal) application(name cluster.AppName) {
	app, _ := rm.Applications.Get(name)
	rm.LookAt(name)
	if rm.to == "" {
		rm.say("application %s is down until it is placed on another node: drover move %s NODE", name, name)
		return
	}
	app.Node = rm.to
	rm.putApplication(app)
	rm.say("application %s is placed on %s", name, rm.Node(rm.to))
}
