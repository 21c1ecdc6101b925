package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
)

// lifetime is Flocker's: twenty years. Nothing renews certificates, so a shorter life would only
// choose the day of an outage.
const lifetime = 7300 * 24 * time.Hour

// skew is by how much certificates begin in the past, for nodes whose clocks are late.
const skew = time.Hour

func authorityTemplate(name string) (*x509.Certificate, error) {
	if name == "" {
		return nil, fmt.Errorf("%w: a cluster needs a name", cluster.ErrInvalid)
	}
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name, OrganizationalUnit: []string{cluster.NewUUID()}},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil
}

func controlTemplate(clusterID string, hosts []string) *x509.Certificate {
	t := leaf(x509.ExtKeyUsageServerAuth)
	t.Subject = pkix.Name{CommonName: ServiceName, OrganizationalUnit: []string{clusterID}}
	t.DNSNames = []string{ServiceName}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return t
}

// nodeTemplate is for a node, or its plugin, by the prefix.
func nodeTemplate(prefix string, id cluster.NodeID) *x509.Certificate {
	t := leaf(x509.ExtKeyUsageClientAuth)
	t.Subject = pkix.Name{CommonName: prefix + strings.ToLower(string(id))}
	return t
}

func userTemplate(name string) *x509.Certificate {
	t := leaf(x509.ExtKeyUsageClientAuth)
	t.Subject = pkix.Name{CommonName: userPrefix + name}
	return t
}

func leaf(usage x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
	}
}

// issue makes the pair <name>.key and <name>.crt in dir, signed by the parent or, without one, by
// itself. The key is written first and used again if it is there: whoever is cut short in
// between, or does the same at the same moment, ends with one valid pair.
func issue(dir, name string, template *x509.Certificate, parent *pair) error {
	cert, err := readCertificate(filepath.Join(dir, name+".crt"))
	switch {
	case err == nil && cert.Subject.CommonName != template.Subject.CommonName && parent != nil:
		return fmt.Errorf("%w: make %s: the file is the certificate of %s",
			cluster.ErrExists, filepath.Join(dir, name+".crt"), cert.Subject.CommonName)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	key, err := ensureKey(filepath.Join(dir, name+".key"))
	if err != nil {
		return err
	}
	der, err := sign(template, key, parent)
	if err != nil {
		return fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return ignoreExisting(create(filepath.Join(dir, name+".crt"), text))
}

func sign(template *x509.Certificate, key crypto.Signer, parent *pair) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-skew)
	template.NotAfter = template.NotBefore.Add(lifetime)
	if parent == nil {
		return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	}
	return x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
}

// ensureKey returns the key in that file, making it first if there is none.
func ensureKey(path string) (crypto.Signer, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := ignoreExisting(create(path, text)); err != nil {
		return nil, err
	}
	return readKey(path)
}
