// Package pki makes and reads the certificates by which the parties of a cluster know each other.
//
//	authority, err := pki.Init(dir, "production", "10.0.0.1") // once, where control runs
//	err = authority.Node(nodeDir, id)                         // once per node; carry nodeDir there
//	server, err := pki.ServerTLS(dir, pki.Control)
//	client, err := pki.ClientTLS(nodeDir, pki.Node)
//	who, err := pki.IdentityOf(connection.PeerCertificates[0])
//
// One authority per cluster signs every other certificate:
//
//	cluster  OU=<cluster id> CN=<cluster name>
//	├── control  CN=control-service   SAN control-service, its hosts and addresses   server
//	├── node     CN=node-<uuid>                                                      client
//	├── plugin   CN=plugin-<uuid>, of the node with that id                          client
//	└── user     CN=user-<name>                                                      client
//
// Those are the subjects and rules of Flocker, so that certificates made by flocker-ca, whatever
// their algorithm and even as X.509 version 1, go on working as client certificates.
//
// Keys are ECDSA P-256: a key is made in microseconds and signs a handshake in some more, while
// the 4096-bit RSA of Flocker takes seconds to make and milliseconds to sign, for no security
// that a cluster needs. Keys of certificates that were issued elsewhere may be of any kind.
//
// A certificate is good for as long as it says. The control service keeps a list of the users that it refuses all
// the same (package control/api); other certificates are shut out by a new authority.
package pki

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// The names of the files of a directory of certificates: each is a pair .crt and .key.
const (
	Cluster = "cluster"
	Control = "control"
	Node    = "node"
	Plugin  = "plugin"
	User    = "user"
)

// ServiceName is the name that every client verifies, whatever host it dials.
const ServiceName = "control-service"

// firstUser is the name in the certificate of the user that Init makes.
const firstUser = "admin"

const gossipFile = "gossip.key"

// An Authority signs the certificates of one cluster.
type Authority struct {
	dir  string
	pair pair
}

// Init makes, in dir, what a cluster needs at first: the authority, the certificate of the
// control service for the given host names and addresses, that of a user, and the key of the
// gossip between nodes. What exists is never overwritten, and what is missing is added, so that
// a first start that was cut short goes on where it ended.
func Init(dir, name string, hosts ...string) (*Authority, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of certificates: %w", err)
	}
	template, err := authorityTemplate(name)
	if err != nil {
		return nil, err
	}
	if err := issue(dir, Cluster, template, nil); err != nil {
		return nil, err
	}
	a, err := Open(dir)
	if err != nil {
		return nil, err
	}
	return a, errors.Join(
		a.Control(dir, hosts...),
		issue(dir, User, userTemplate(firstUser), &a.pair),
		makeGossipKey(dir))
}

// Open reads the authority from a directory that Init made. A directory without one is
// cluster.ErrNotFound.
func Open(dir string) (*Authority, error) {
	p, err := readPair(dir, Cluster)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: open the certificate authority: %w", cluster.ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	return &Authority{dir: dir, pair: p}, nil
}

// ClusterID is the UUID of the cluster.
func (a *Authority) ClusterID() string { return ClusterIDOf(a.pair.cert) }

// ClusterIDOf returns the UUID of the cluster whose authority has that certificate.
func ClusterIDOf(authority *x509.Certificate) string {
	if units := authority.Subject.OrganizationalUnit; len(units) > 0 {
		return units[0]
	}
	return ""
}

// Control makes control.crt and control.key in dir, for a service that is reached under the given
// host names and addresses. A pair that exists stays as it is.
func (a *Authority) Control(dir string, hosts ...string) error {
	return issue(dir, Control, controlTemplate(a.ClusterID(), hosts), &a.pair)
}

// User makes <name>.crt and <name>.key in dir. If the files belong to somebody else the result is
// cluster.ErrExists.
func (a *Authority) User(dir, name string) error {
	if !cluster.ValidName(name) {
		return fmt.Errorf("%w: user %q: use letters, digits, '_', '.' and '-'", cluster.ErrInvalid, name)
	}
	return issue(dir, name, userTemplate(name), &a.pair)
}

// Node fills dir with all that the agent of a node needs: its own pair node.crt and node.key, that of
// its Docker plugin, the certificate of the cluster, and the gossip key. What is there stays. If
// node.crt belongs to another node the result is cluster.ErrExists.
func (a *Authority) Node(dir string, id cluster.NodeID) error {
	if !cluster.IsUUID(string(id)) {
		return fmt.Errorf("%w: node %q: want a version 4 UUID", cluster.ErrInvalid, id)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of certificates: %w", err)
	}
	if err := issue(dir, Node, nodeTemplate(nodePrefix, id), &a.pair); err != nil {
		return err
	}
	return errors.Join(
		issue(dir, Plugin, nodeTemplate(pluginPrefix, id), &a.pair),
		copyFile(dir, a.dir, Cluster+".crt"),
		copyFile(dir, a.dir, gossipFile))
}

// GossipKey returns the 32 bytes that encrypt the gossip between the nodes of a cluster.
func GossipKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, gossipFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the gossip key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%w: read the gossip key: %s does not hold 32 bytes in base64", cluster.ErrInvalid, path)
	}
	return key, nil
}

func makeGossipKey(dir string) error {
	var key [32]byte
	rand.Read(key[:]) // never fails: see crypto/rand
	text := base64.StdEncoding.EncodeToString(key[:]) + "\n"
	return ignoreExisting(create(filepath.Join(dir, gossipFile), []byte(text)))
}
