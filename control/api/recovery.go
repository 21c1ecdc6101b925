package api

import (
	"github.com/gin-gonic/gin"

	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

func (a *api) recovery(*gin.Context, pki.Identity) (reply, error) {
	return ok(a.service.Recovery()), nil
}

func (a *api) acceptRecovery(c *gin.Context, _ pki.Identity) (reply, error) {
	var r wire.AcceptRequest
	if c.Request.ContentLength != 0 { // clients of earlier versions send none
		if err := decodeStrictly(c, &r); err != nil {
			return reply{}, err
		}
	}
	accepted, err := a.service.AcceptRecovery(c.Request.Context(), r)
	return ok(accepted), err
}
