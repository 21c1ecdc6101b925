package pki

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// usersDir is where an authority keeps the certificates of the users whom it made, without their keys.
const usersDir = "users"

// A UserCertificate is what an authority has on record of a user.
type UserCertificate struct {
	Name    string    `json:"name"`
	Serial  string    `json:"serial"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
}

// AddUser makes all that a user needs to reach the control service, as one file for its owner alone: the
// certificate, its key, and the certificate of the cluster. ClientTLS reads it. A name is given once: its
// holder may have been shut out by it.
func (a *Authority) AddUser(name, file string) error {
	if !cluster.ValidName(name) {
		return fmt.Errorf("%w: user %s: use letters, digits, '_', '.' and '-'", cluster.ErrInvalid, cluster.Shown(name))
	}
	users, err := a.Users()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(users, func(u UserCertificate) bool { return u.Name == name }) {
		return cluster.WithHint(fmt.Errorf("user %s %w", name, cluster.ErrExists), "choose another name, also for one that was removed")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	der, err := sign(userTemplate(name), key, &a.pair)
	if err != nil {
		return fmt.Errorf("sign the certificate of user %s: %w", name, err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text := slices.Concat(certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.pair.cert.Raw}))
	return a.handOut(name, certificate, file, text)
}

// handOut writes the certificate of a user on record, then the file for him: nothing is out that is not
// on record.
func (a *Authority) handOut(name string, certificate []byte, file string, text []byte) error {
	record := filepath.Join(a.dir, usersDir, name+".crt")
	if err := durable.MkdirAll(filepath.Dir(record), 0o700); err != nil {
		return err
	}
	if err := create(record, certificate); err != nil {
		return fmt.Errorf("note user %s: %w", name, err)
	}
	err := create(file, text)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%s %w", file, cluster.ErrExists)
	}
	if err != nil {
		return errors.Join(err, os.Remove(record))
	}
	return nil
}

// Users returns the users whose certificates the authority has in its directory, by name: those whom it
// noted, and the first one.
func (a *Authority) Users() ([]UserCertificate, error) {
	var users []UserCertificate
	for _, pattern := range []string{"*.crt", filepath.Join(usersDir, "*.crt")} {
		paths, err := filepath.Glob(filepath.Join(a.dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			cert, err := readCertificate(path)
			if err != nil {
				return nil, err
			}
			if who, err := IdentityOf(cert); err == nil && who.Role == RoleUser {
				users = append(users, UserCertificate{Name: who.Name, Serial: cert.SerialNumber.Text(16), Made: cert.NotBefore.Add(skew), Expires: cert.NotAfter})
			}
		}
	}
	slices.SortFunc(users, func(a, b UserCertificate) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Serial, b.Serial))
	})
	return slices.Compact(users), nil
}

// loadFile reads what AddUser wrote.
func loadFile(file string) (tls.Certificate, *x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	own, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("%w: read %s: %w", cluster.ErrInvalid, file, err)
	}
	last := len(own.Certificate) - 1
	authority, err := x509.ParseCertificate(own.Certificate[last])
	if err != nil || last == 0 {
		return tls.Certificate{}, nil, fmt.Errorf("%w: read %s: it lacks the certificate of the cluster", cluster.ErrInvalid, file)
	}
	own.Certificate = own.Certificate[:last]
	return own, authority, nil
}
