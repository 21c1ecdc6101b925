package api

import (
	"github.com/gin-gonic/gin"

	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

func (a *api) keys(*gin.Context, pki.Identity) (reply, error) {
	return ok(list(a.service.Keys())), nil
}

func (a *api) addKey(c *gin.Context, _ pki.Identity) (reply, error) {
	var r wire.KeyRequest
	if err := decodeStrictly(c, &r); err != nil {
		return reply{}, err
	}
	return noContent, a.service.AddKey(c.Request.Context(), c.Param("key"), r)
}

func (a *api) removeKey(c *gin.Context, _ pki.Identity) (reply, error) {
	return noContent, a.service.RemoveKey(c.Request.Context(), c.Param("key"))
}
