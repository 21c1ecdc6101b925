package api

import (
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

func (a *api) version(*gin.Context, pki.Identity) (reply, error) { return ok(a.service.Version()), nil }

func (a *api) status(*gin.Context, pki.Identity) (reply, error) { return ok(a.service.Status()), nil }

func (a *api) pending(c *gin.Context, _ pki.Identity) (reply, error) {
	of := wire.Subjects{Volumes: c.QueryArray("volume"), Nodes: c.QueryArray("node")}
	for _, name := range c.QueryArray("application") {
		of.Applications = append(of.Applications, cluster.AppName(name))
	}
	for key := range c.Request.URL.Query() {
		if key != "application" && key != "volume" && key != "node" {
			return reply{}, fmt.Errorf("%w: what is pending is asked for by application, volume or node, not by %q", cluster.ErrInvalid, key)
		}
	}
	missing, err := a.service.Pending(of)
	return ok(missing), err
}

func (a *api) backup(c *gin.Context, _ pki.Identity) (reply, error) {
	data, err := a.service.Backup(c.Request.Context())
	c.Header("Content-Type", "application/octet-stream")
	return reply{text: data}, err
}

func (a *api) configuration(c *gin.Context, _ pki.Identity) (reply, error) {
	configuration, revision := a.service.Configuration()
	if c.GetHeader("If-None-Match") == wire.ETag(revision) {
		return reply{status: notModified.status, revision: revision}, nil
	}
	document := wire.ConfigurationDocument{Revision: revision, Configuration: configuration}
	return reply{body: document, revision: revision}, nil
}

func (a *api) configure(c *gin.Context, _ pki.Identity) (reply, error) {
	from, err := ifMatch(c)
	if err != nil {
		return reply{}, err
	}
	next, err := wanted(c)
	if err != nil {
		return reply{}, err
	}
	document, err := a.service.Configure(c.Request.Context(), from, next)
	return reply{body: document, revision: document.Revision}, err
}

func (a *api) patch(c *gin.Context, _ pki.Identity) (reply, error) {
	from, err := ifMatch(c)
	if err != nil {
		return reply{}, err
	}
	var document wire.PatchDocument
	if err := decodeStrictly(c, &document); err != nil {
		return reply{}, err
	}
	changed, err := a.service.Patch(c.Request.Context(), from, document.Configuration)
	return reply{body: changed, revision: changed.Revision}, err
}

func (a *api) preview(c *gin.Context, _ pki.Identity) (reply, error) {
	next, err := wanted(c)
	if err != nil {
		return reply{}, err
	}
	steps, err := a.service.Preview(c.Request.Context(), next)
	return ok(steps), err
}

// wanted reads the configuration of a request.
func wanted(c *gin.Context) (cluster.Configuration, error) {
	var document wire.ConfigurationDocument
	if err := decodeStrictly(c, &document); err != nil {
		return cluster.Configuration{}, err
	}
	next := document.Configuration
	if next.Applications == nil || next.Volumes == nil {
		// Else a body that is empty by mistake would stop everything.
		return next, fmt.Errorf("%w: the configuration needs applications and volumes, if only empty ones", cluster.ErrInvalid)
	}
	return next, nil
}
