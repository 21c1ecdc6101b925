package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

func (a *api) nodes(*gin.Context, pki.Identity) (reply, error) {
	return ok(list(a.service.Nodes())), nil
}

func (a *api) register(c *gin.Context, who pki.Identity) (reply, error) {
	var node cluster.Node
	if err := decode(c, &node); err != nil {
		return reply{}, err
	}
	if err := speaksFor(who, node.ID); err != nil {
		return reply{}, err
	}
	return noContent, a.service.Register(c.Request.Context(), node)
}

func (a *api) removeNode(c *gin.Context, _ pki.Identity) (reply, error) {
	var r wire.RemovalRequest
	if err := decodeStrictly(c, &r); err != nil {
		return reply{}, err
	}
	removal, err := a.service.RemoveNode(c.Request.Context(), c.Param("node"), r)
	return ok(removal), err
}

func (a *api) removedNodes(*gin.Context, pki.Identity) (reply, error) {
	return ok(list(a.service.RemovedNodes())), nil
}

func (a *api) readmitNode(c *gin.Context, _ pki.Identity) (reply, error) {
	n, err := a.service.ReadmitNode(c.Request.Context(), c.Param("node"))
	return ok(n), err
}

func (a *api) report(c *gin.Context, who pki.Identity) (reply, error) {
	var state cluster.NodeState
	if err := decode(c, &state); err != nil {
		return reply{}, err
	}
	if err := speaksFor(who, state.Node); err != nil {
		return reply{}, err
	}
	return noContent, a.service.Report(c.Request.Context(), state)
}

func (a *api) heartbeat(c *gin.Context, who pki.Identity) (reply, error) {
	var b wire.Heartbeat
	if err := decode(c, &b); err != nil {
		return reply{}, err
	}
	return noContent, a.service.Heartbeat(c.Request.Context(), who.NodeID(), b)
}

func (a *api) assignment(c *gin.Context, who pki.Identity) (reply, error) {
	p, err := pollOf(c)
	if err != nil {
		return reply{}, err
	}
	ask := a.service.AssignmentChanges
	if c.Query("changes") != "true" {
		ask = a.wholeAssignment
	}
	ctx, end := a.beats(c, who)
	defer end(nil)
	var answer wire.AssignmentChanges
	changed, err := p.run(ctx, func(ctx context.Context) (err error) {
		answer, err = ask(ctx, who.NodeID(), cluster.Revision(p.since))
		return err
	})
	switch why := context.Cause(ctx); {
	case err == nil || why == nil:
	case errors.Is(why, errEnough):
		err = nil
	default:
		err = why
	}
	if err != nil || !changed {
		return notModified, err
	}
	text, err := answer.Without(c.Query("have")).JSON()
	c.Header("Content-Type", "application/json")
	return reply{text: text, revision: answer.Revision}, err
}

// wholeAssignment is for agents of earlier versions, which do not ask for changes.
func (a *api) wholeAssignment(ctx context.Context, node cluster.NodeID, since cluster.Revision) (wire.AssignmentChanges, error) {
	assignment, err := a.service.Assignment(ctx, node, since)
	return wire.AssignmentChanges{Assignment: assignment}, err
}

func (a *api) record(c *gin.Context, who pki.Identity) (reply, error) {
	var event cluster.Event
	if err := decode(c, &event); err != nil {
		return reply{}, err
	}
	if event.Node == "" {
		event.Node = who.NodeID()
	}
	if err := speaksFor(who, event.Node); err != nil {
		return reply{}, err
	}
	return noContent, a.service.Record(c.Request.Context(), event)
}

// speaksFor returns cluster.ErrForbidden if a body is of another node than the one that sent it:
// that the path is right says nothing of the body.
func speaksFor(who pki.Identity, node cluster.NodeID) error {
	if node != who.NodeID() {
		return fmt.Errorf("%w: %s cannot speak for node %q", cluster.ErrForbidden, who, node)
	}
	return nil
}
