package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// A speaker is which process speaks as a node. After a restart it is another one, and the former one
// is silent. If another one comes while it speaks, the node's identity has been cloned. Who was never taken
// for the node has begun nothing, and is refused alone. If both were, each would write what it was told that
// it owns, so neither is told anything new until one of them is silent.
//
//	instance speaks                      -> it is told what the node gets
//	another registers, the former silent -> that is the instance from now on
//	another registers                    -> it is refused, and the instance is not disturbed
//	the instance pauses after that       -> it is still the node; who asked in vain waits until it is silent
//	one registers that was the node      -> rival: both are refused, and the node counts as out of touch
//	the former one registers once more   -> it is late, and refused; again: it is a rival
//	either is silent for long enough     -> the other one is the instance
//	the service was started anew         -> who was the instance is, or is started in its place; others wait until
//	                                        it would have come
//
// Whoever else speaks is refused, and nothing follows from that: a process that lives registers next, and
// what is late is of one that has ended.
type speaker struct {
	instance, rival     string
	spoke, contradicted time.Time // last call of the instance, and of the rival
	polls               int       // of the instance, under way: a process that ended has none
	answered            time.Time // its last poll was, and was not cut: the next one is to come
	refused             refusal
	told                bool   // an event has told of the rival
	former              string // the instance before, and when it last registered since
	echoed              time.Time
}

// A refusal is of a process that says that it is a node which another one is, or may be.
type refusal struct {
	instance string // empty: there was none
	at       time.Time
	told     time.Time // when an event last told of one
	beside   bool      // the instance was there at the same time, or has spoken since: these are two
	wire.Refused
}

func (r *refusal) lately(at time.Time, window time.Duration) bool {
	return r.instance != "" && at.Sub(r.at) <= window
}

// tellAgain is how long after an event has told of a process that was refused another one does so: they ask again
// and again, and there may be several in turn.
const tellAgain = time.Hour

// nextPoll is how soon after an answer an agent that lives asks again.
const nextPoll = 5 * time.Second

func (p *speaker) contended(at time.Time, window time.Duration) bool {
	return p.rival != "" && at.Sub(p.contradicted) <= window
}

// admit decides which process speaks as a node from now on. The caller holds mu.
func (s *Service) admit(ctx context.Context, n *session, as cluster.Node) error {
	instance, at, window := wire.InstanceOf(ctx), s.clock.now(), s.options.Timing.Liveness
	if err := s.awaits(n, instance, as); err != nil {
		return err
	}
	alive := n.polls > 0 || !n.answered.IsZero() && at.Sub(n.answered) <= nextPoll ||
		(n.contended(at, window) || n.refused.beside && n.refused.lately(at, window)) && at.Sub(n.spoke) <= window
	if instance != n.instance && n.instance != "" && alive {
		if instance != n.former && instance != n.rival && !as.Admitted {
			err := fmt.Errorf("%w: node %s is in touch, and another agent, at %s, says that it is that one", cluster.ErrConflict, s.model.Node(n.id), as.Address)
			return cluster.WithHint(err, ownIdentity)
		}
		late := instance == n.former && at.Sub(n.echoed) > window
		if n.echoed = at; late && n.rival == "" {
			return s.ended(n)
		}
		s.contradict(n, instance, "another one at "+as.Address)
		return s.twofold(n)
	}
	if instance != n.instance {
		n.speaker = speaker{instance: instance, former: n.instance, refused: n.refused}
		s.change(n).Rival = ""
	}
	if n.refused.instance == instance {
		n.refused = refusal{told: n.refused.told}
		s.change(n).turnedAway = n.refused
	}
	n.spoke = at
	return nil
}

// awaits refuses a process that comes first in this life of the service, while the one that was taken for the node
// in the last may yet come, and runs. A node that only routes has nothing that two must not have. The caller holds mu.
func (s *Service) awaits(n *session, instance string, as cluster.Node) error {
	was, known := s.model.Speakers.Get(n.id)
	if n.registered || !known || as.RoutesOnly || was.Is(instance, as.Seat) || s.clock.now().Sub(s.started) > s.options.Timing.Liveness {
		return nil
	}
	err := fmt.Errorf("%w: the control service has just been started, and the agent that was node %s may yet say that it is there", cluster.ErrAwaited, s.model.Node(n.id))
	return cluster.WithHint(err, fmt.Sprintf("wait: this one is taken for it if the other one is silent for %s", s.options.Timing.Liveness))
}

// ownIdentity is the way out where two agents have one.
const ownIdentity = "end one of them, and give its host an identity of its own: drover node add"

// speaks refuses a call of a node by a process that does not speak as it, or while two do. The caller
// holds mu.
func (s *Service) speaks(ctx context.Context, n *session) error {
	switch instance := wire.InstanceOf(ctx); {
	case !n.registered:
		return fmt.Errorf("%w: the control service has been started anew: node %s must register first", cluster.ErrUnavailable, s.model.Node(n.id))
	case n.instance == "" && n.rival == "":
		n.instance = instance
	case instance == n.instance:
		n.spoke = s.clock.now()
		n.refused.beside = n.refused.instance != ""
	case n.rival != "" && instance == n.rival:
		n.contradicted = s.clock.now()
	default:
		return s.ended(n)
	}
	return s.twofold(n)
}

// ended refuses a call of a process that is not the node any more.
func (s *Service) ended(n *session) error {
	return fmt.Errorf("%w: another agent has registered as node %s since", cluster.ErrConflict, s.model.Node(n.id))
}

func (s *Service) contradict(n *session, instance, what string) {
	if n.rival == "" {
		n.changed.raise()
		s.change(n).Rival = what
	}
	n.rival, n.contradicted = instance, s.clock.now()
}

// twofold refuses what a node asks for while two speak as it.
func (s *Service) twofold(n *session) error {
	if !n.contended(s.clock.now(), s.options.Timing.Liveness) {
		return nil
	}
	err := fmt.Errorf("%w: two agents speak as node %s, %s; neither is told anything new", cluster.ErrConflict, s.model.Node(n.id), n.Rival)
	return cluster.WithHint(err, ownIdentity)
}

// tellRefused notes that a process was refused as a node, and tells of it now and then.
func (s *Service) tellRefused(ctx context.Context, n cluster.Node, why error) {
	instance := wire.InstanceOf(ctx)
	s.mu.Lock()
	known := s.sessions[n.ID]
	another := known != nil && errors.Is(why, cluster.ErrConflict) && instance != known.instance && instance != known.former
	news := false
	if another {
		at, told := s.clock.now(), known.refused.told
		news = known.rival == "" && (told.IsZero() || at.Sub(told) >= tellAgain) // of a rival everybody is told
		if news {
			told = at
		}
		beside := known.polls > 0 || known.refused.beside && known.refused.lately(at, s.options.Timing.Liveness)
		known.refused = refusal{instance, at, told, beside, wire.Refused{Address: n.Address, Why: cluster.Message(why), WayOut: cluster.Hint(why)}}
		s.change(known).turnedAway = known.refused
	}
	s.mu.Unlock()
	if !news {
		return
	}
	if _, err := s.update(ctx, func(w *rules.Write) error {
		w.Tell(cluster.Event{Node: n.ID, Kind: "conflict", Message: cluster.Message(why)})
		return nil
	}); err != nil {
		s.options.log().Error("the event was not recorded", "kind", "conflict", "reason", why, "error", err)
	}
}

// withRefused adds to nodes the processes that were refused as them lately.
func (g glance) withRefused(nodes []wire.NodeStatus) []wire.NodeStatus {
	for i, of := range nodes {
		if n := g.standings.At(of.Node.ID); n != nil && n.turnedAway.lately(g.Now, g.Timing.Liveness) {
			nodes[i].Refused = &n.turnedAway.Refused
		}
	}
	return nodes
}

// quiet ends what is past: rivals that are silent. It tells of those that are new. The caller holds mu.
func (s *Service) quiet(w *rules.Write) {
	for id, n := range s.sessions {
		switch {
		case n.rival == "":
		case !n.contended(w.View.Now, s.options.Timing.Liveness):
			n.rival, s.change(n).Rival, n.told = "", "", false
			n.changed.raise()
		case !n.told:
			n.told = true
			w.Tell(cluster.Event{Node: id, Kind: "conflict", Message: cluster.Message(s.twofold(n))})
		}
	}
}

// updateBy is update for a call that only a node may make.
func (s *Service) updateBy(ctx context.Context, node cluster.NodeID, edit func(*rules.Write) error) (*rules.Write, error) {
	return s.update(ctx, func(w *rules.Write) error {
		if err := w.Admitted(node); err != nil {
			return err
		}
		if err := s.speaksNow(ctx, node); err != nil {
			// Not a conflict, which would say that the attempt is over.
			return fmt.Errorf("%w: %s", cluster.ErrUnavailable, cluster.Message(err))
		}
		return edit(w)
	})
}

func (s *Service) speaksNow(ctx context.Context, node cluster.NodeID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.sessions[node]; n != nil {
		return s.speaks(ctx, n)
	}
	return nil
}
