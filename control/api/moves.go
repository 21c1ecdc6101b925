package api

import (
	"context"
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

func moveID(c *gin.Context) cluster.MoveID { return cluster.MoveID(c.Param("move")) }

func (a *api) moves(*gin.Context, pki.Identity) (reply, error) {
	return ok(list(a.service.Moves())), nil
}

func (a *api) move(c *gin.Context, _ pki.Identity) (reply, error) {
	p, err := pollOf(c)
	if err != nil {
		return reply{}, err
	}
	var move cluster.Move
	var revision cluster.Revision
	changed, err := p.run(c.Request.Context(), func(ctx context.Context) (err error) {
		move, revision, err = a.service.Move(ctx, moveID(c), cluster.Revision(p.since))
		return err
	})
	if err != nil || !changed {
		return notModified, err
	}
	return reply{body: move, revision: revision}, nil
}

func (a *api) requestMove(c *gin.Context, who pki.Identity) (reply, error) {
	var r wire.MoveRequest
	if err := decodeStrictly(c, &r); err != nil {
		return reply{}, err
	}
	if who.Role == pki.RolePlugin && (r.Application != "" || r.To != who.Name || !r.Alone) {
		return reply{}, fmt.Errorf("%w: a plugin moves volumes that no application uses, to its own node", cluster.ErrForbidden)
	}
	move, err := a.service.RequestMove(c.Request.Context(), r)
	return created(move), err
}

func (a *api) abortMove(c *gin.Context, _ pki.Identity) (reply, error) {
	move, err := a.service.AbortMove(c.Request.Context(), moveID(c))
	return ok(move), err
}

func (a *api) ready(c *gin.Context, who pki.Identity) (reply, error) {
	var r wire.ReadyReport
	if err := decode(c, &r); err != nil {
		return reply{}, err
	}
	return noContent, a.service.Ready(c.Request.Context(), who.NodeID(), moveID(c), r)
}

func (a *api) progress(c *gin.Context, who pki.Identity) (reply, error) {
	var r wire.ProgressReport
	if err := decode(c, &r); err != nil {
		return reply{}, err
	}
	return noContent, a.service.Progress(c.Request.Context(), who.NodeID(), moveID(c), r)
}

func (a *api) hold(c *gin.Context, who pki.Identity) (reply, error) {
	var r wire.AttemptRequest
	if err := decode(c, &r); err != nil {
		return reply{}, err
	}
	turnOf(c).rest()
	result, err := a.service.Hold(c.Request.Context(), who.NodeID(), moveID(c), r)
	return ok(result), err
}

func (a *api) commit(c *gin.Context, who pki.Identity) (reply, error) {
	var r wire.CommitRequest
	if err := decode(c, &r); err != nil {
		return reply{}, err
	}
	ownership, err := a.service.Commit(c.Request.Context(), who.NodeID(), moveID(c), r)
	return ok(ownership), err
}

func (a *api) failed(c *gin.Context, who pki.Identity) (reply, error) {
	var r wire.FailureReport
	if err := decode(c, &r); err != nil {
		return reply{}, err
	}
	return noContent, a.service.Failed(c.Request.Context(), who.NodeID(), moveID(c), r)
}
