package api

import (
	"fmt"
	"net/http"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// An access says whose certificates open a route.
type access int

const (
	users   access = iota // users only
	nodes                 // nodes only; the service checks which
	itself                // the node that the path names, only
	anyone                // users, nodes and their plugins
	plugins               // users and plugins; handlers check what a plugin asks for
)

// allow returns cluster.ErrForbidden unless the holder of a certificate may call a route, where
// node is the node that the path names.
func (a access) allow(who pki.Identity, node string) error {
	allowed := false
	switch a {
	case users:
		allowed = who.Role == pki.RoleUser
	case nodes:
		allowed = who.Role == pki.RoleNode
	case itself:
		allowed = who.Role == pki.RoleNode && who.Name == node
	case anyone:
		allowed = who.Role == pki.RoleUser || who.Role == pki.RoleNode || who.Role == pki.RolePlugin
	case plugins:
		allowed = who.Role == pki.RoleUser || who.Role == pki.RolePlugin
	}
	if !allowed {
		return fmt.Errorf("%w: the certificate of %s does not allow this call", cluster.ErrForbidden, who)
	}
	return nil
}

// identify returns who sent a request. It trusts the connection only if that has verified the
// certificate, so that a server set up without TLS serves nobody.
func identify(r *http.Request) (pki.Identity, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return pki.Identity{}, fmt.Errorf("%w: no verified client certificate", cluster.ErrForbidden)
	}
	return pki.IdentityOf(r.TLS.VerifiedChains[0][0])
}

// callerOf returns who asks for something, for the records. A node asks for nothing: it tells.
func callerOf(who pki.Identity) wire.Caller {
	switch who.Role {
	case pki.RoleUser:
		return wire.Caller{User: who.Name}
	case pki.RolePlugin:
		return wire.Caller{Node: who.NodeID()}
	}
	return wire.Caller{}
}
