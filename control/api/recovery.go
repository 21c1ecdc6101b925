package api

import (
	"github.com/gin-gonic/gin"

	"github.com/drover/drover/internal/pki"
)

func (a *api) recovery(*gin.Context, pki.Identity) (reply, error) {
	return ok(a.service.Recovery()), nil
}

func (a *api) acceptRecovery(c *gin.Context, _ pki.Identity) (reply, error) {
	accepted, err := a.service.AcceptRecovery(c.Request.Context())
	return ok(accepted), err
}
