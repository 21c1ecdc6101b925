package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/pki"
)

const nodeID = cluster.NodeID("11111111-2222-4333-8444-555555555555")

func TestInitMakesAllThatAFirstStartNeeds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	a := initialise(t, dir)

	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: mode %v, %v; want 0700", info.Mode(), err)
	}
	want := []string{"cluster.crt", "cluster.key", "control.crt", "control.key", "gossip.key", "user.crt", "user.key"}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", e.Name(), info.Mode(), err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("files = %v, want %v", got, want)
	}
	if !cluster.IsUUID(a.ClusterID()) {
		t.Errorf("cluster id = %q, want a UUID", a.ClusterID())
	}
	if key, err := pki.GossipKey(dir); err != nil || len(key) != 32 {
		t.Errorf("gossip key = %d bytes, %v; want 32", len(key), err)
	}
}

func TestSubjectsAndExtensions(t *testing.T) {
	dir := t.TempDir()
	a := initialise(t, dir)
	must(t, a.Node(dir, "11111111-2222-4333-8444-55555555555F"))
	must(t, a.User(dir, "alice"))

	ca := certificate(t, dir, "cluster")
	if !ca.IsCA || ca.MaxPathLen != 0 || ca.Subject.CommonName != "test" || ca.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("authority = %v, CA %v, path length %d, usage %v", ca.Subject, ca.IsCA, ca.MaxPathLen, ca.KeyUsage)
	}
	for _, tt := range []struct {
		file, cn string
		usage    x509.ExtKeyUsage
		identity pki.Identity
	}{
		{"control", "control-service", x509.ExtKeyUsageServerAuth, pki.Identity{Role: pki.RoleControl}},
		{"user", "user-admin", x509.ExtKeyUsageClientAuth, pki.Identity{Role: pki.RoleUser, Name: "admin"}},
		{"alice", "user-alice", x509.ExtKeyUsageClientAuth, pki.Identity{Role: pki.RoleUser, Name: "alice"}},
		{"node", "node-11111111-2222-4333-8444-55555555555f", x509.ExtKeyUsageClientAuth,
			pki.Identity{Role: pki.RoleNode, Name: "11111111-2222-4333-8444-55555555555f"}},
		{"plugin", "plugin-11111111-2222-4333-8444-55555555555f", x509.ExtKeyUsageClientAuth,
			pki.Identity{Role: pki.RolePlugin, Name: "11111111-2222-4333-8444-55555555555f"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			c := certificate(t, dir, tt.file)
			if c.Version != 3 || c.Subject.CommonName != tt.cn || c.SerialNumber.BitLen() > 128 {
				t.Errorf("version %d, subject %v, serial of %d bits", c.Version, c.Subject, c.SerialNumber.BitLen())
			}
			if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != tt.usage {
				t.Errorf("extended key usage = %v, want %v", c.ExtKeyUsage, tt.usage)
			}
			if err := c.CheckSignatureFrom(ca); err != nil {
				t.Errorf("signature: %v", err)
			}
			if id, err := pki.IdentityOf(c); err != nil || id != tt.identity || id.String() != tt.cn {
				t.Errorf("identity = %v, %v; want %v", id, err, tt.identity)
			}
		})
	}
	for _, host := range []string{"control-service", "control.example", "127.0.0.1", "::1"} {
		if err := certificate(t, dir, "control").VerifyHostname(host); err != nil {
			t.Errorf("control certificate for %s: %v", host, err)
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	a := initialise(t, dir)
	must(t, a.Node(dir, nodeID))
	before := contents(t, dir)

	initialise(t, dir)
	must(t, a.Node(dir, nodeID))
	if after := contents(t, dir); !maps.Equal(before, after) {
		t.Error("a second start changed the files of the first")
	}

	err := a.Node(dir, "99999999-2222-4333-8444-555555555555")
	if !errors.Is(err, cluster.ErrExists) {
		t.Errorf("another node in the same directory: %v, want ErrExists", err)
	}
	if after := contents(t, dir); !maps.Equal(before, after) {
		t.Error("the refused node changed files")
	}
}

func TestInitGoesOnWhereItWasCutShort(t *testing.T) {
	whole := t.TempDir()
	initialise(t, whole)
	for name := range contents(t, whole) {
		if name == "cluster.key" {
			continue // the one file that cannot be made again: see the next test
		}
		t.Run("without "+name, func(t *testing.T) {
			dir := t.TempDir()
			initialise(t, dir)
			must(t, os.Remove(filepath.Join(dir, name)))
			if name == "control.key" || name == "user.key" {
				// The key is written first, so a crash leaves no certificate without its key.
				must(t, os.Remove(filepath.Join(dir, name[:len(name)-4]+".crt")))
			}
			if name == "cluster.crt" { // signed all others, so it went first
				must(t, os.Remove(filepath.Join(dir, "control.crt")))
				must(t, os.Remove(filepath.Join(dir, "user.crt")))
			}
			initialise(t, dir)
			connect(t, dir, dir, pki.User)
		})
	}
}

func TestInitWithoutTheKeyOfItsAuthorityFails(t *testing.T) {
	dir := t.TempDir()
	initialise(t, dir)
	must(t, os.Remove(filepath.Join(dir, "cluster.key")))
	if _, err := pki.Init(dir, "test"); err == nil {
		t.Error("Init went on with a certificate that it cannot sign for")
	}
}

func TestInitAtTheSameMomentEndsWithOneAuthority(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := pki.Init(dir, "test"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	connect(t, dir, dir, pki.User)
}

func TestWhatIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := pki.Open(dir); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("open an empty directory: %v, want ErrNotFound", err)
	}
	if _, err := pki.Init(dir, ""); !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("a cluster without a name: %v, want ErrInvalid", err)
	}
	a := initialise(t, dir)
	if err := a.Node(dir, "not-a-uuid"); !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("a node without a UUID: %v, want ErrInvalid", err)
	}
	if err := a.User(dir, "../alice"); !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("a user with a path: %v, want ErrInvalid", err)
	}
	if err := a.User(dir, "cluster"); !errors.Is(err, cluster.ErrExists) {
		t.Errorf("a user named like the authority: %v, want ErrExists", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "gossip.key"), []byte("short"), 0o600))
	if _, err := pki.GossipKey(dir); !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("a damaged gossip key: %v, want ErrInvalid", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "cluster.key"), []byte("no PEM"), 0o600))
	if _, err := pki.Open(dir); !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("a damaged key: %v, want ErrInvalid", err)
	}
}

func TestNodeDirectoryIsEnoughForAnAgent(t *testing.T) {
	control, node := t.TempDir(), filepath.Join(t.TempDir(), "new")
	a := initialise(t, control)
	must(t, a.Node(node, nodeID))

	if id := connect(t, control, node, pki.Node); id.NodeID() != nodeID {
		t.Errorf("the server saw %v, want node %s", id, nodeID)
	}
	if id, err := pki.NodeIDIn(node); err != nil || id != nodeID {
		t.Errorf("the node's own id = %s, %v; want %s", id, err, nodeID)
	}
	if id, err := pki.NodeIDIn(control); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("a directory without a node: %s, %v; want ErrNotFound", id, err)
	}
	ours, err := pki.GossipKey(control)
	must(t, err)
	theirs, err := pki.GossipKey(node)
	must(t, err)
	if string(ours) != string(theirs) {
		t.Error("the node has another gossip key than its cluster")
	}
	if _, err := os.Stat(filepath.Join(node, "cluster.key")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the key of the authority left its directory")
	}
}

func initialise(t *testing.T, dir string) *pki.Authority {
	t.Helper()
	a, err := pki.Init(dir, "test", "control.example", "127.0.0.1", "::1")
	must(t, err)
	return a
}

func certificate(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name+".crt"))
	must(t, err)
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return cert
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		all[e.Name()] = string(data)
	}
	return all
}

// connect makes one handshake between the control service of one directory and the client of
// another, and returns whom the server saw.
func connect(t *testing.T, server, client, name string) pki.Identity {
	t.Helper()
	serverTLS, err := pki.ServerTLS(server, pki.Control)
	must(t, err)
	clientTLS, err := pki.ClientTLS(client, name)
	must(t, err)
	state, err := handshake(serverTLS, clientTLS)
	must(t, err)
	id, err := pki.IdentityOf(state.PeerCertificates[0])
	must(t, err)
	return id
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
