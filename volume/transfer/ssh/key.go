package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/internal/durable"
)

// A Key is a node's SSH identity: that of its server, and that by which others know its client.
type Key = ssh.Signer

// LoadOrCreateKey returns the Ed25519 key in a file, which it makes if there is none.
func LoadOrCreateKey(file string) (Key, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = createKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("load the transfer key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("load the transfer key %s: %w", file, err)
	}
	return key, nil
}

func createKey(file string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "drover")
	if err != nil {
		return nil, err
	}
	b := pem.EncodeToMemory(block)
	return b, durable.WriteFile(file, b, 0o600)
}

// PublicKey returns the public half in authorized_keys form, without a comment.
func PublicKey(key Key) string { return authorized(key.PublicKey()) }

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
