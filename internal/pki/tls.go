package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
)

// ServerTLS returns how the control service listens: with the pair of that name (Control) in dir,
// to clients whose certificates the cluster's authority has signed and which say who they are. A
// handshake with any other client fails. The name that a client asks for does not matter. A few handshakes are under
// way at a time, and others wait.
func ServerTLS(dir, name string) (*tls.Config, error) {
	config, roots, err := load(dir, name)
	if err != nil {
		return nil, err
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs = roots
	config.GetConfigForClient = newHandshakes(mostHandshakes).hello
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := IdentityOf(state.PeerCertificates[0])
		return err
	}
	return config, nil
}

// ClientTLS returns how to reach the control service with the pair of that name (Node, User, or
// whatever a user called it) in dir, or with the file that Authority.AddUser made in place of dir. The client verifies ServiceName, whatever host it dials.
func ClientTLS(dir, name string) (*tls.Config, error) {
	config, roots, err := load(dir, name)
	if err != nil {
		return nil, err
	}
	config.RootCAs = roots
	config.ServerName = ServiceName
	return config, nil
}

func load(dir, name string) (*tls.Config, *x509.CertPool, error) {
	own, authority, err := loadPair(dir, name)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}}, roots, nil
}

func loadPair(dir, name string) (own tls.Certificate, authority *x509.Certificate, err error) {
	if info, err := os.Stat(dir); err == nil && info.Mode().IsRegular() {
		return loadFile(dir)
	}
	if authority, err = readCertificate(filepath.Join(dir, Cluster+".crt")); err != nil {
		return own, nil, fmt.Errorf("load the certificate of the cluster: %w", err)
	}
	path := filepath.Join(dir, name)
	if own, err = tls.LoadX509KeyPair(path+".crt", path+".key"); err != nil {
		return own, nil, fmt.Errorf("load the certificate %s.crt: %w", path, err)
	}
	return own, authority, nil
}
