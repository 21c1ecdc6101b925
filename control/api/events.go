package api

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/pki"
)

func (a *api) events(c *gin.Context, _ pki.Identity) (reply, error) {
	p, err := pollOf(c)
	if err != nil {
		return reply{}, err
	}
	var events []cluster.Event
	_, err = p.run(c.Request.Context(), func(ctx context.Context) (err error) {
		events, err = a.service.Events(ctx, p.since)
		return err
	})
	return ok(list(events)), err
}
