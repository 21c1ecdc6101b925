package control

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
)

// pending says, one sentence each, what is missing for the cluster to be as configured: of
// applications, then of volumes, then of nodes. The caller holds mu.
func (s *Service) pending() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for app := range s.model.applications.all() {
		s.pendingApplication(app, add)
	}
	for v := range s.model.volumes.all() {
		s.pendingVolume(v, add)
	}
	for n := range s.model.nodes.all() {
		s.pendingNode(n, add)
	}
	return out
}

type sentences = func(format string, args ...any)

func (s *Service) pendingApplication(app cluster.Application, add sentences) {
	node, epoch := app.Node, cluster.Epoch(0)
	if app.Volume != nil {
		if m, open := s.model.openMove(app.Volume.Volume); open {
			s.pendingMove(m, add)
			return
		}
		o, _ := s.model.ownerships.get(app.Volume.Volume)
		node, epoch = o.Owner, o.Epoch
	}
	if app.Node == "" || node == "" {
		return // it shall not run, or waits for its volume, which says so itself
	}
	if seen := s.sightLocked(node, app.Name, epoch); !seen.healthy {
		add("%s: not healthy on %s: %s", app.Name, s.model.node(node), seen.reason)
	}
}

func (s *Service) pendingMove(m cluster.Move, add sentences) {
	m = s.progress[m.ID].merge(m)
	reason := ""
	if m.Reason != "" {
		reason = ": " + m.Reason
	}
	verb := "moving"
	if m.Aborting {
		verb = "aborting its move"
	}
	add("%s: %s to %s (%s)%s", s.model.mover(m), verb, s.model.node(m.To), m.Phase, reason)
}

func (s *Service) pendingVolume(v cluster.Volume, add sentences) {
	o, owned := s.model.ownerships.get(v.ID)
	if _, used := s.model.user(v.ID); !used {
		if m, open := s.model.openMove(v.ID); open {
			s.pendingMove(m, add)
		}
	}
	switch {
	case v.Deleted:
		for _, node := range sorted(s.observed.copies[v.ID]) {
			add("volume %s: deleted, but %s still has a copy", name(v), s.model.node(node))
		}
	case !owned && v.Primary == "":
		// Nobody said where it shall be.
	case !owned:
		add("%s", cmp.Or(ownerlessCopies(s.model, s.observed, v),
			fmt.Sprintf("volume %s: waits for all nodes to say what they hold before it gets an owner", name(v))))
	case !o.Born:
		add("volume %s: owner %s has not made it yet", name(v), s.model.node(o.Owner))
	default:
		s.pendingCopy(v, o, add)
	}
}

// pendingCopy says what the owner's copy of a volume lacks. Of an owner that was not heard of
// nothing can be said.
func (s *Service) pendingCopy(v cluster.Volume, o cluster.Ownership, add sentences) {
	n := s.sessions[o.Owner]
	if !s.inTouch(n, now()) || n.state == nil || n.state.VolumesUnknown != "" {
		return
	}
	c, exists := s.observed.copies[v.ID][o.Owner]
	if _, moving := s.model.openMove(v.ID); !exists && !moving {
		add("volume %s: its owner %s has no copy of it", name(v), s.model.node(o.Owner))
		return
	}
	if v.Rollback.Due(o, c.Rollback) {
		add("volume %s: has not gone back to snapshot %s yet", name(v), v.Rollback.Snapshot)
	}
	if exists && c.LimitSize != v.MaximumSize {
		add("volume %s: its maximum size is not yet what it shall be", name(v))
	}
	for _, wish := range v.Snapshots {
		made := slices.ContainsFunc(c.Snapshots, func(made cluster.Snapshot) bool { return made.Name == wish.Name })
		if wish.Epoch == o.Epoch && !made {
			add("volume %s: snapshot %s has not been made yet", name(v), wish.Name)
		}
	}
}

func (s *Service) pendingNode(node cluster.Node, add sentences) {
	n, called := s.sessions[node.ID], s.model.node(node.ID)
	if !s.inTouch(n, now()) {
		if x := s.model.index; len(x.owned[node.ID])+len(x.placed[node.ID]) > 0 {
			add("node %s has not been heard of", called)
		}
		return
	}
	slice := s.slice(n)
	if n.state == nil {
		add("node %s has not reported its state yet", called)
		return
	}
	if seen := n.state.Seen; seen < max(n.configured, s.watch.shared) || seen > slice.Revision {
		add("node %s has not acted on its newest configuration yet", called)
	}
	if why := n.state.VolumesUnknown; why != "" {
		add("node %s: cannot see its volumes: %s", called, why)
	}
	for _, c := range n.state.Conflicts {
		add("node %s: conflict: %s", called, c.What)
	}
	for _, step := range n.state.Steps {
		if step.Error != "" {
			add("node %s: %s %s: %s", called, step.Kind, step.Subject, step.Error)
		}
	}
	for _, a := range n.state.Applications {
		shall := slices.ContainsFunc(slice.Applications, func(want cluster.Application) bool { return want.Name == a.Name })
		if a.Running && !shall {
			add("%s: still runs on %s", a.Name, called)
		}
	}
}
