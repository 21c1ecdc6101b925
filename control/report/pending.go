package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// A list collects, one sentence each, what is missing for the cluster to be as configured.
type list struct {
	view.View
	told      func(cluster.NodeID) Told
	sentences []string
	gone      map[cluster.NodeID]*wire.GoneNode
}

func (l *list) add(format string, args ...any) {
	l.sentences = append(l.sentences, fmt.Sprintf(format, args...))
}

// of adds something that waits for a node alone. It notes that nobody should, if the node is gone.
func (l *list) of(node cluster.NodeID, format string, args ...any) {
	l.add(format, args...)
	if l.gone[node] == nil {
		r, removed := l.Model.Removed.Get(node)
		silence := l.Silence(node)
		if !removed && (l.InTouch(node) || silence <= l.Timing.Gone) {
			return
		}
		l.gone[node] = &wire.GoneNode{Node: node, Name: l.Model.Node(node), Removed: removed, Since: l.Wall.Add(-silence)}
		if removed {
			l.gone[node].Since = r.At
		}
	}
	l.gone[node].Waits = append(l.gone[node].Waits, l.sentences[len(l.sentences)-1])
}

// pending says what is missing: of applications, then of volumes, then of nodes; and which nodes that waits for
// in vain. Of some subjects alone Missing says it.
func pending(v view.View, told func(cluster.NodeID) Told) wire.Missing {
	l := newList(v, told)
	for app := range v.Model.Applications.All() {
		l.application(app)
	}
	for volume := range v.Model.Volumes.All() {
		l.volume(volume)
	}
	for n := range v.Model.Nodes.All() {
		l.node(n)
	}
	return l.missing()
}

func newList(v view.View, told func(cluster.NodeID) Told) *list {
	l := &list{View: v, told: told, gone: map[cluster.NodeID]*wire.GoneNode{}}
	if r, recovering := v.Model.Recoveries.Get("store"); recovering {
		l.add("the store has gone back (%s): nothing is destroyed until an operator accepts it: drover control accept", r.Why)
	}
	return l
}

func (l *list) missing() wire.Missing {
	m := wire.Missing{Revision: l.Model.Head, Converged: len(l.sentences) == 0, Pending: l.sentences}
	for _, id := range records.Sorted(l.gone) {
		m.Gone = append(m.Gone, *l.gone[id])
	}
	return m
}

func (l *list) application(app cluster.Application) {
	node, epoch := app.Node, cluster.Epoch(0)
	if app.Volume != nil {
		if m, open := l.Model.OpenMove(app.Volume.Volume); open {
			l.move(m)
			return
		}
		o, _ := l.Model.Ownerships.Get(app.Volume.Volume)
		o, _ = l.Owner(o)
		node, epoch = o.Owner, o.Epoch
	}
	if app.Node == "" || node == "" {
		return // it shall not run, or waits for its volume, which says so itself
	}
	r, removed := l.Model.Removed.Get(node)
	switch seen := l.Sight(node, app.Name, epoch); {
	case removed && app.Volume != nil:
		l.of(node, "%s: runs nowhere: its volume is that of %s, which was removed %s", app.Name, l.Model.Node(node), records.Past(r.At, r.By))
	case removed:
		l.of(node, "%s: runs nowhere: it is placed on %s, which was removed %s; place it on another node: drover move %s NODE",
			app.Name, l.Model.Node(node), records.Past(r.At, r.By), app.Name)
	case !seen.Healthy:
		l.of(node, "%s: not healthy on %s: %s", app.Name, l.Model.Node(node), seen.Reason)
	case seen.Settling != "":
		l.add("%s: not settled on %s: %s", app.Name, l.Model.Node(node), seen.Settling)
	}
}

func (l *list) move(m cluster.Move) {
	m = l.Merged(m)
	reason := ""
	if m.Reason != "" {
		reason = ": " + m.Reason
	}
	verb := "moving"
	if m.Aborting {
		verb = "aborting its move"
	}
	waits := l.add
	if m.Phase.Committed() { // before that a move ends by itself
		waits = func(format string, args ...any) { l.of(m.To, format, args...) }
	}
	waits("%s: %s to %s (%s)%s", l.Model.Mover(m), verb, l.Model.Node(m.To), m.Phase, reason)
}

func (l *list) volume(v cluster.Volume) {
	o, owned := l.Model.Ownerships.Get(v.ID)
	if _, used := l.Model.User(v.ID); !used {
		if m, open := l.Model.OpenMove(v.ID); open {
			l.move(m)
		}
	}
	name := records.Name(v)
	switch what := l.Superseded(v.ID); {
	case what != "":
		l.add("%s", what)
	case v.Deleted:
		for _, node := range records.Sorted(l.Copies(v.ID)) {
			l.of(node, "volume %s: deleted, but %s still has a copy", name, l.Model.Node(node))
		}
	case !owned && v.Primary == "":
		// Nobody said where it shall be.
	case !owned && l.removed(v.Primary):
		l.of(v.Primary, "volume %s: was to be made on %s, which was removed: place it on another node, or drover volume rm %s", name, l.Model.Node(v.Primary), name)
	case !owned:
		l.add("%s", cmp.Or(l.Strays(v),
			fmt.Sprintf("volume %s: waits for all nodes to say what they hold before it gets an owner", name)))
	case l.removed(o.Owner):
		l.of(o.Owner, "volume %s: has no owner that is there: %s was removed; %s", name, l.Model.Node(o.Owner), l.WaysOut(v, o))
	case !o.Created:
		l.of(o.Owner, "volume %s: owner %s has not made it yet", name, l.Model.Node(o.Owner))
	default:
		l.ownersCopy(v, o)
	}
}

// ownersCopy says what the owner's copy of a volume lacks. Of an owner that was not heard of nothing
// can be said.
func (l *list) ownersCopy(v cluster.Volume, o cluster.Ownership) {
	state := l.State(o.Owner)
	if state == nil || state.VolumesUnknown != "" {
		return
	}
	name := records.Name(v)
	c, exists := l.Copies(v.ID)[o.Owner]
	if _, moving := l.Model.OpenMove(v.ID); !exists && !moving {
		l.add("volume %s: its owner %s has no copy of it", name, l.Model.Node(o.Owner))
		return
	}
	if v.Rollback.Due(o, c.Rollback) {
		l.add("volume %s: has not gone back to snapshot %s yet", name, v.Rollback.Snapshot)
	}
	if exists && c.MaximumSize != v.MaximumSize {
		l.add("volume %s: its maximum size is not yet what it shall be", name)
	}
	for _, wish := range v.Snapshots {
		made := slices.ContainsFunc(c.Snapshots, func(made cluster.Snapshot) bool { return made.Name == wish.Name })
		if wish.Epoch == o.Epoch && !made {
			l.add("volume %s: snapshot %s has not been made yet", name, wish.Name)
		}
	}
}

func (l *list) removed(id cluster.NodeID) bool {
	_, removed := l.Model.Removed.Get(id)
	return removed
}

func (l *list) node(node cluster.Node) {
	called := l.Model.Node(node.ID)
	if n := l.Seen.Nodes.At(node.ID); n != nil && n.Rival != "" {
		l.add("node %s: two agents speak as it, %s; neither is told anything new", called, n.Rival)
		return
	}
	if !l.InTouch(node.ID) {
		if x := l.Model.Index; x.Owned.Any(node.ID) || x.Placed.Any(node.ID) {
			l.of(node.ID, "node %s has not been heard of", called)
		}
		return
	}
	state := l.State(node.ID)
	if state == nil {
		l.add("node %s has not reported its state yet", called)
		return
	}
	told := l.told(node.ID)
	if told.behind(state) {
		l.add("node %s has not acted on its newest configuration yet", called)
	}
	if why := state.VolumesUnknown; why != "" {
		l.add("node %s: cannot see its volumes: %s", called, why)
	}
	for _, c := range state.Conflicts {
		l.add("node %s: conflict: %s", called, c.What)
	}
	for _, step := range state.Steps {
		if step.Error != "" {
			l.add("node %s: %s %s: %s", called, step.Kind, l.Model.Volume(cluster.VolumeID(step.Subject)), step.Error)
		}
	}
	for _, a := range state.Applications {
		shall := slices.ContainsFunc(told.Assignment.Applications, func(want cluster.Application) bool { return want.Name == a.Name })
		if a.Running && !shall && (a.Volume == "" || l.Superseded(a.Volume) == "") {
			l.add("%s: still runs on %s", a.Name, called)
		}
	}
}
