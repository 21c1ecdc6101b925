package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// A pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func readPair(dir, name string) (pair, error) {
	cert, err := readCertificate(filepath.Join(dir, name+".crt"))
	if err != nil {
		return pair{}, err
	}
	key, err := readKey(filepath.Join(dir, name+".key"))
	return pair{cert, key}, err
}

func readCertificate(path string) (*x509.Certificate, error) {
	der, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", cluster.ErrInvalid, path, err)
	}
	return cert, nil
}

// readKey reads a private key in any of the forms that common tools write.
func readKey(path string) (crypto.Signer, error) {
	der, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("%w: read %s: not a private key", cluster.ErrInvalid, path)
}

func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%w: read %s: not in PEM form", cluster.ErrInvalid, path)
	}
	return block.Bytes, nil
}

// create makes a file that only its owner can read. A file that exists is left as it is and the
// result is fs.ErrExist. It survives a loss of power: the certificates of nodes that were carried
// away must not outlive their authority.
func create(path string, data []byte) error { return durable.CreateFile(path, data, 0o600) }

// copyFile copies a file between directories, unless there is one.
func copyFile(to, from, name string) error {
	data, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	return ignoreExisting(create(filepath.Join(to, name), data))
}

func ignoreExisting(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
