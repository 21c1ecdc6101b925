package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/drover/drover/cluster"
)

// NodeIDIn returns the identity of the node whose certificate is in dir. A directory without one
// is cluster.ErrNotFound.
func NodeIDIn(dir string) (cluster.NodeID, error) { return nodeIDOf(filepath.Join(dir, Node+".crt")) }

// PluginIDIn returns the identity of the node whose plugin's certificate is in dir.
func PluginIDIn(dir string) (cluster.NodeID, error) {
	return nodeIDOf(filepath.Join(dir, Plugin+".crt"))
}

func nodeIDOf(path string) (cluster.NodeID, error) {
	cert, err := readCertificate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: read the certificate: %w", cluster.ErrNotFound, err)
	}
	if err != nil {
		return "", err
	}
	who, err := IdentityOf(cert)
	if err != nil {
		return "", err
	}
	if who.NodeID() == "" {
		return "", fmt.Errorf("%w: %s is the certificate of %s, not of a node", cluster.ErrInvalid, path, who)
	}
	return who.NodeID(), nil
}
