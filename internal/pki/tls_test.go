package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/pki"
)

func TestWhoGetsIn(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	a := initialise(t, dir)
	must(t, a.Node(dir, nodeID))
	initialise(t, other)

	ours := func(name string) func(*testing.T) *tls.Config {
		return func(t *testing.T) *tls.Config {
			config, err := pki.ClientTLS(dir, name)
			must(t, err)
			return config
		}
	}
	for _, tt := range []struct {
		rule   string
		client func(*testing.T) *tls.Config
		want   string // the identity, or "" for a handshake that fails
	}{
		{"a user of the cluster", ours(pki.User), "user-admin"},
		{"a node of the cluster", ours(pki.Node), "node-" + string(nodeID)},
		{"a certificate for servers is no client", ours(pki.Control), ""},
		{"the authority itself is nobody", ours(pki.Cluster), ""},
		{"no certificate", func(t *testing.T) *tls.Config {
			c := ours(pki.User)(t)
			c.Certificates = nil
			return c
		}, ""},
		{"a user of another cluster", func(t *testing.T) *tls.Config {
			c, err := pki.ClientTLS(other, pki.User)
			must(t, err)
			c.RootCAs = ours(pki.User)(t).RootCAs // it accepts our server, so the server must refuse it
			return c
		}, ""},
		{"TLS 1.1", func(t *testing.T) *tls.Config {
			c := ours(pki.User)(t)
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			return c
		}, ""},
		{"a user with an RSA key", func(t *testing.T) *tls.Config {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			must(t, err)
			return with(t, ours(pki.User)(t), key, issueBy(t, dir, "user-rsa", key.Public()))
		}, "user-rsa"},
		{"a name without a role", func(t *testing.T) *tls.Config {
			key := newKey(t)
			return with(t, ours(pki.User)(t), key, issueBy(t, dir, "somebody", key.Public()))
		}, ""},
		{"an X.509 v1 certificate as flocker-ca made them", func(t *testing.T) *tls.Config {
			key := newKey(t)
			return with(t, ours(pki.User)(t), key, issueVersion1(t, dir, "user-old", key.Public()))
		}, "user-old"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			server, err := pki.ServerTLS(dir, pki.Control)
			must(t, err)
			state, err := handshake(server, tt.client(t))
			if tt.want == "" {
				if err == nil {
					t.Fatal("the handshake succeeded")
				}
				return
			}
			must(t, err)
			if id, err := pki.IdentityOf(state.PeerCertificates[0]); err != nil || id.String() != tt.want {
				t.Errorf("identity = %v, %v; want %s", id, err, tt.want)
			}
		})
	}
}

func TestClientVerifiesTheService(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	initialise(t, dir)
	a := initialise(t, other)
	must(t, a.Node(other, nodeID))
	client, err := pki.ClientTLS(dir, pki.User)
	must(t, err)
	server, err := pki.ServerTLS(other, pki.Control)
	must(t, err)
	server.ClientAuth = tls.NoClientCert
	server.VerifyConnection = nil
	if _, err := handshake(server, client); err == nil {
		t.Error("the client trusts the control service of another cluster")
	}
	node, err := pki.ServerTLS(other, pki.Node)
	must(t, err)
	node.ClientAuth = tls.NoClientCert
	node.VerifyConnection = nil
	client, err = pki.ClientTLS(other, pki.User)
	must(t, err)
	if _, err := handshake(node, client); err == nil {
		t.Error("the client takes a node for the control service")
	}
}

func TestIdentityOf(t *testing.T) {
	for cn, want := range map[string]string{
		"user-alice":                 "user-alice",
		"user-node-x":                "user-node-x",
		"node-" + string(nodeID):     "node-" + string(nodeID),
		"control-service":            "control-service",
		"user-":                      "",
		"node-":                      "",
		"node-alice":                 "",
		"control-service.evil":       "",
		"User-alice":                 "",
		"":                           "",
		"node-" + string(nodeID[1:]): "",
	} {
		id, err := pki.IdentityOf(&x509.Certificate{Subject: pkix.Name{CommonName: cn}})
		switch {
		case want == "" && !errors.Is(err, cluster.ErrForbidden):
			t.Errorf("%q: %v, %v; want ErrForbidden", cn, id, err)
		case want != "" && (err != nil || id.String() != want):
			t.Errorf("%q: %v, %v; want %s", cn, id, err, want)
		}
	}
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := pki.ServerTLS(dir, pki.Control); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no authority: %v", err)
	}
	initialise(t, dir)
	if _, err := pki.ClientTLS(dir, "nobody"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no pair: %v", err)
	}
}

// handshake connects the two over loopback and returns what the server knows of the client.
func handshake(server, client *tls.Config) (tls.ConnectionState, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer listener.Close()
	type result struct {
		state tls.ConnectionState
		err   error
	}
	served := make(chan result, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			served <- result{err: err}
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		s := tls.Server(conn, server)
		err = s.Handshake()
		served <- result{s.ConnectionState(), err}
	}()
	conn, dialErr := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", listener.Addr().String(), client)
	if dialErr == nil {
		defer conn.Close()
	}
	// In TLS 1.3 the client is done before the server has looked at its certificate.
	r := <-served
	return r.state, errors.Join(dialErr, r.err)
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func with(t *testing.T, config *tls.Config, key crypto.Signer, der []byte) *tls.Config {
	t.Helper()
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	return config
}

func authorityKey(t *testing.T, dir string) crypto.Signer {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cluster.key"))
	must(t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	return key.(crypto.Signer)
}

func issueBy(t *testing.T, dir, cn string, public crypto.PublicKey) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7),
		Subject:      pkix.Name{CommonName: cn},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, certificate(t, dir, "cluster"), public, authorityKey(t, dir))
	must(t, err)
	return der
}

// issueVersion1 makes what crypto/x509 can read but not write: a certificate without a version
// and without extensions.
func issueVersion1(t *testing.T, dir, cn string, public crypto.PublicKey) []byte {
	t.Helper()
	algorithm := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}} // ECDSA with SHA-256
	spki, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	type validity struct{ NotBefore, NotAfter time.Time }
	body, err := asn1.Marshal(struct {
		Serial    *big.Int
		Algorithm pkix.AlgorithmIdentifier
		Issuer    asn1.RawValue
		Validity  validity
		Subject   pkix.RDNSequence
		PublicKey asn1.RawValue
	}{
		big.NewInt(8), algorithm, asn1.RawValue{FullBytes: certificate(t, dir, "cluster").RawSubject},
		validity{time.Now().Add(-time.Hour).UTC(), time.Now().Add(time.Hour).UTC()},
		pkix.Name{CommonName: cn}.ToRDNSequence(), asn1.RawValue{FullBytes: spki},
	})
	must(t, err)
	digest := sha256.Sum256(body)
	signature, err := authorityKey(t, dir).Sign(rand.Reader, digest[:], crypto.SHA256)
	must(t, err)
	der, err := asn1.Marshal(struct {
		Body      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: body}, algorithm, asn1.BitString{Bytes: signature, BitLength: len(signature) * 8}})
	must(t, err)
	if cert, err := x509.ParseCertificate(der); err != nil || cert.Version != 1 {
		t.Fatalf("made no version 1 certificate: %v", err)
	}
	return der
}
