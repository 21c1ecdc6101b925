package pki

import (
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/drover/drover/cluster"
)

// A Role is what a certificate lets its holder act as.
type Role string

// The roles.
const (
	RoleUser    Role = "user"
	RoleNode    Role = "node"
	RoleControl Role = "control"
	// RolePlugin is the Docker volume plugin of a node.
	RolePlugin Role = "plugin"
)

const (
	userPrefix   = "user-"
	nodePrefix   = "node-"
	pluginPrefix = "plugin-"
)

// An Identity is who holds a certificate.
type Identity struct {
	Role Role
	// Name is that of the user, or the id of the node, also for its plugin; empty for the control
	// service.
	Name string
}

// NodeID returns the id of the node that holds the certificate or whose plugin does, or "" if it is
// neither.
func (i Identity) NodeID() cluster.NodeID {
	if i.Role != RoleNode && i.Role != RolePlugin {
		return ""
	}
	return cluster.NodeID(i.Name)
}

// String returns the common name of the certificate.
func (i Identity) String() string {
	if i.Role == RoleControl {
		return ServiceName
	}
	return string(i.Role) + "-" + i.Name
}

// IdentityOf reads the holder from the common name of a certificate that was verified already. A
// certificate that is neither a user's, nor a node's or its plugin's, nor the control service's is
// cluster.ErrForbidden.
func IdentityOf(cert *x509.Certificate) (Identity, error) {
	cn := cert.Subject.CommonName
	user, isUser := strings.CutPrefix(cn, userPrefix)
	node, isNode := strings.CutPrefix(cn, nodePrefix)
	plugged, isPlugin := strings.CutPrefix(cn, pluginPrefix)
	switch {
	case cn == ServiceName:
		return Identity{Role: RoleControl}, nil
	case isUser && user != "":
		return Identity{RoleUser, user}, nil
	case isNode && cluster.IsUUID(node):
		return Identity{RoleNode, strings.ToLower(node)}, nil
	case isPlugin && cluster.IsUUID(plugged):
		return Identity{RolePlugin, strings.ToLower(plugged)}, nil
	}
	return Identity{}, fmt.Errorf("%w: the certificate of %q is neither a user's nor a node's", cluster.ErrForbidden, cn)
}
