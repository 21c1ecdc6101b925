package cluster

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A UserKey lets whoever has its private half read volumes from the nodes' transfer servers.
type UserKey struct {
	// Name is what people call it.
	Name string `json:"name"`
	// Key is the public half in authorized_keys form, without a comment.
	Key   string    `json:"key"`
	Added time.Time `json:"added"`
}

// An Ed25519 key in authorized_keys form is this type, base64, and maybe a comment. What is encoded
// begins with keyPrefix: the type again and the length of the 32 bytes that follow.
const (
	keyType   = "ssh-ed25519"
	keyPrefix = "\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"
)

// ParseUserKey returns the public key in a file as ssh-keygen writes it, in authorized_keys form
// without its comment. Its errors show nothing of what may be a secret.
func ParseUserKey(text string) (string, error) {
	if strings.Contains(text, "PRIVATE KEY") || strings.HasPrefix(text, "PuTTY-User-Key-File") {
		return "", fmt.Errorf("%w: this is a private key, which is for its owner alone; add the public one, in the file that ends in .pub", ErrInvalid)
	}
	fields := strings.Fields(text)
	if strings.Contains(strings.TrimSpace(text), "\n") || len(fields) < 2 {
		return "", fmt.Errorf("%w: this is not one public key, as ssh-keygen writes it to a file that ends in .pub", ErrInvalid)
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if fields[0] != keyType || err != nil || len(blob) != len(keyPrefix)+32 || !strings.HasPrefix(string(blob), keyPrefix) {
		return "", fmt.Errorf("%w: this is not an Ed25519 key, and no others are accepted; make one with: ssh-keygen -t ed25519", ErrInvalid)
	}
	return keyType + " " + fields[1], nil
}

// KnownHost returns the line for the known_hosts of OpenSSH by which it knows the node's transfer
// server, by its address and by the node's name. Nodes write their own records: what one says of
// itself must not become a line, or a pattern, that is about other hosts.
func (n Node) KnownHost() (string, error) {
	host, port, err := net.SplitHostPort(n.TransferAddress)
	_, noPort := strconv.ParseUint(port, 10, 16)
	address, noAddress := netip.ParseAddr(host)
	plain := (noAddress == nil && address.Zone() == "") || ValidName(host)
	key, noKey := ParseUserKey(n.TransferKey)
	if !plain || errors.Join(err, noPort, noKey) != nil {
		return "", fmt.Errorf("%w: node %s has no usable transfer address and key on record", ErrInvalid, n.ID)
	}
	hosts := fmt.Sprintf("[%s]:%s", host, port)
	if ValidName(n.Name) && n.Name != host {
		hosts += fmt.Sprintf(",[%s]:%s", n.Name, port)
	}
	return hosts + " " + key, nil
}
