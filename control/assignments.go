package control

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/assign"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// shared is the part that all assignments share: the routes, the nodes and the keys. What a node is told
// costs what changed of it; all of it goes only to one of which it is not known what it has.
type shared struct {
	revision cluster.Revision
	routes   changelog[int, cluster.Route]
	nodes    changelog[cluster.NodeID, cluster.Node]
	keys     changelog[string, cluster.UserKey]

	// whole is all of it, and changes are what changed since a revision, each once somebody has asked for it
	// as it is now.
	whole   *cluster.Assignment
	digest  func() string // of whole
	changes map[cluster.Revision]wire.AssignmentChanges
}

// mostChanges is from how many revisions at once the changes are kept.
const mostChanges = 16

// Assignment returns the node's part of the cluster, once its revision differs from since; or the
// error of ctx. That a node asks says that it is there, and that it acts on since.
func (s *Service) Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision) (assignment cluster.Assignment, err error) {
	err = s.tell(ctx, node, since, func(n *session) { assignment = s.assignment(n) })
	return assignment, err
}

// AssignmentChanges is Assignment for an agent that remembers the one of revision since.
func (s *Service) AssignmentChanges(ctx context.Context, node cluster.NodeID, since cluster.Revision) (changes wire.AssignmentChanges, err error) {
	err = s.tell(ctx, node, since, func(n *session) { changes = s.changes(n, since) })
	return changes, err
}

// tell waits until the revision of a node's assignment differs from since, and has it given to the node.
func (s *Service) tell(ctx context.Context, node cluster.NodeID, since cluster.Revision, give func(*session)) error {
	if err := s.saw(ctx, node, since); err != nil {
		return err
	}
	asked, poll := false, "" // whether it has been counted, and of which instance
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n := s.sessions[node]; asked && n != nil && n.instance == poll && n.polls > 0 {
			n.polls--
			n.answered = time.Time{}
			if !errors.Is(context.Cause(ctx), context.Canceled) {
				n.answered = s.clock.now()
			}
		}
	}()
	return s.await(ctx, func() (*signal, error) {
		n, err := s.session(node)
		if err != nil {
			return nil, err
		}
		if !asked {
			if err := s.speaks(ctx, n); err != nil {
				return nil, err
			}
			n.polls++
			asked, poll = true, n.instance
			is := s.change(n)
			is.Asked = s.clock.now()
			if is.State == nil || is.State.Every == 0 {
				is.Heard = is.Asked // otherwise its reports are its heartbeat, and show that it can speak
			}
			if is.Acknowledged = since; s.unheardOf(n, since) {
				is.Acknowledged = 0 // it is of a store that has gone back since
			}
			s.watch.acks.raise()
		}
		if err := s.twofold(n); err != nil {
			return nil, err
		}
		if s.unknown(n) {
			return &n.changed, nil
		}
		if s.derive(n); s.revision(n) == since {
			return &n.changed, nil
		}
		give(n)
		n.given = s.revision(n)
		return nil, nil
	})
}

// unknown reports whether a node has yet to say what it holds and what it has acted on. It will in a
// moment, and nothing is asked of it before: by what is on record, which may have gone back, something
// might be taken from it. One that cannot say it is not waited for any longer. The caller holds mu.
func (s *Service) unknown(n *session) bool {
	node, _ := s.model.Nodes.Get(n.id)
	return n.State == nil && !node.RoutesOnly && s.clock.now().Sub(n.met) <= s.options.Timing.Liveness
}

// derive brings a node's own part up to date. It is derived again only if something that concerns the
// node happened, and has a new revision only if it came out differently. The caller holds mu.
func (s *Service) derive(n *session) {
	if !n.stale {
		return
	}
	is := s.change(n)
	is.stale = false
	own := assign.To(s.view(), n.id)
	if is.revision == 0 || !reflect.DeepEqual(own, is.own) {
		is.own, is.revision, is.configured = own, s.next(), s.watch.revision
	}
	if logs := logsOn(s.model, s.logs, n.id); !slices.Equal(logs, n.logs) {
		n.logs, is.revision = logs, s.next()
	}
}

// revision is that of a node's assignment, whose own part has been derived. The caller holds mu.
func (s *Service) revision(n *session) cluster.Revision { return max(n.revision, s.shared.revision) }

// own returns the node's own part, as last derived. The caller holds mu.
func (s *Service) own(n *session) cluster.Assignment {
	own := n.own
	own.Revision, own.Life, own.Own, own.Logs = s.revision(n), s.life, n.configured, n.logs
	return own
}

// assignment returns all that a node is told. The caller holds mu.
func (s *Service) assignment(n *session) cluster.Assignment {
	if s.shared.whole == nil {
		s.shared.whole = &cluster.Assignment{
			Routes: slices.AppendSeq([]cluster.Route{}, s.model.Routes.All()),
			Nodes:  slices.AppendSeq([]cluster.Node{}, s.model.Nodes.All()),
			Keys:   slices.Collect(s.model.Keys.All()),
		}
		whole := *s.shared.whole
		s.shared.digest = sync.OnceValue(func() string { return wire.Digest(whole) })
	}
	assignment := s.own(n)
	assignment.Routes, assignment.Nodes, assignment.Keys = s.shared.whole.Routes, s.shared.whole.Nodes, s.shared.whole.Keys
	return assignment
}

// changes returns what changed of a node's assignment since a revision; all of it unless that is the one that
// this life of the service has given the node last. The caller holds mu.
func (s *Service) changes(n *session, since cluster.Revision) wire.AssignmentChanges {
	if since != n.given || since < max(s.shared.routes.from, s.shared.nodes.from, s.shared.keys.from) {
		assignment := s.assignment(n)
		return wire.AssignmentChanges{Assignment: assignment}.Named(s.shared.digest)
	}
	since = max(s.shared.routes.last(since), s.shared.nodes.last(since), s.shared.keys.last(since))
	c, made := s.shared.changes[since]
	if !made {
		c = s.sharedChanges(since)
	}
	if n.revision <= n.given {
		return c
	}
	return c.With(s.own(n))
}

// sharedChanges returns what changed since a revision for all whose own part has not. The caller holds mu.
func (s *Service) sharedChanges(since cluster.Revision) wire.AssignmentChanges {
	c := wire.AssignmentChanges{Since: since, Same: true}
	c.Revision = s.shared.revision
	c.Routes, c.GoneRoutes = s.shared.routes.split(since)
	c.Nodes, c.GoneNodes = s.shared.nodes.split(since)
	c.Keys, c.GoneKeys = s.shared.keys.split(since)
	if len(s.shared.changes) >= mostChanges || s.shared.changes == nil {
		s.shared.changes = map[cluster.Revision]wire.AssignmentChanges{}
	}
	s.shared.changes[since] = c.Shared()
	return s.shared.changes[since]
}

// share takes in what a write, which is applied, has changed of what all assignments share; all of it without
// one. The caller holds mu.
func (s *Service) share(w *rules.Write) {
	s.shared.revision, s.shared.whole, s.shared.changes = s.next(), nil, nil
	at := func() cluster.Revision { return s.shared.revision }
	if w == nil {
		noteTable(&s.shared.routes, keys(&s.shared.routes, s.model.Routes), s.model.Routes, at)
		noteTable(&s.shared.nodes, keys(&s.shared.nodes, s.model.Nodes), s.model.Nodes, at)
		noteTable(&s.shared.keys, keys(&s.shared.keys, s.model.Keys), s.model.Keys, at)
	} else {
		noteTable(&s.shared.routes, w.Routes.Changed(), s.model.Routes, at)
		noteTable(&s.shared.nodes, w.Nodes.Changed(), s.model.Nodes, at)
		noteTable(&s.shared.keys, w.Keys.Changed(), s.model.Keys, at)
	}
	for _, n := range s.sessions {
		n.changed.raise()
	}
}
