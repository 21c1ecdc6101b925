// Package ssh carries volumes between nodes over SSH, by an SFTP server inside each agent.
//
//	server := &ssh.Server{Key: key, Backend: b, Peers: peers, Permit: permit}
//	go server.Serve(ctx, listener)
//
//	transport := &ssh.Transport{Key: key}
//	session, err := transport.Dial(ctx, node)
//	n, err := session.Send(ctx, delta, backend, transfer.Options{})
//
// What a client sees is a small tree of files that are made when they are read, and consumed
// when they are written:
//
//	/volumes/<id>/copy.json                  read: what this node holds, as a volume.Copy
//	/volumes/<id>/snapshots/<name>           read: a full stream
//	/volumes/<id>/snapshots/<from>:<name>    read: the difference
//	/volumes/<id>/incoming/<name>            write: a full stream is received
//	/volumes/<id>/incoming/<from>:<name>     write: a difference is received
//
// so that any SFTP client with an accepted key can look at snapshots and pull them. A stream that
// is written ends with its xxHash64, 8 bytes, which is how both ends know that they mean the same
// bytes; closing the file answers when everything is on stable storage, or why not.
//
// Nobody gets a shell, a command or a forwarded port. A node is accepted by the key in the
// cluster's records, and accepts its peer by it; ciphers are AES-GCM, which processors do quickly.
package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/volume"
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

// algorithms are pinned: the ciphers that have hardware, and current key exchanges. ChaCha20 is
// two and a half times slower.
func algorithms() ssh.Config {
	return ssh.Config{
		Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM},
		KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
		// Exchanging keys anew stalls a transfer; AES-GCM bears far more than this between two.
		RekeyThreshold: 64 << 30,
	}
}

const (
	// maxPacket is the payload of one SFTP packet, the most that servers accept.
	maxPacket = 255 << 10
	// inFlight is how many packets are under way at once: enough to fill a fast link.
	inFlight = 64
	// handshakeTimeout bounds what a stranger can cost.
	handshakeTimeout = 10 * time.Second
	// aliveInterval is how often each side asks whether the other is there; an answer that
	// takes longer than aliveTimeout ends the connection.
	aliveInterval = 5 * time.Second
	aliveTimeout  = 10 * time.Second
)

// A file is one name in the tree.
type file struct {
	volume cluster.VolumeID
	part   string // "copy.json", "snapshots", "incoming"
	delta  volume.Delta
	// resume: the stream goes on with what was received before.
	resume bool
}

const (
	partCopy      = "copy.json"
	partSnapshots = "snapshots"
	partIncoming  = "incoming"
	resumeMark    = "resume"
)

// deltaPath names the file of a delta.
func deltaPath(part string, d volume.Delta) string {
	name := string(d.To)
	if d.From != "" || len(d.Resume) > 0 {
		name = string(d.From) + ":" + name
	}
	if len(d.Resume) > 0 {
		name += ":" + resumeMark
	}
	return path.Join("/volumes", string(d.Volume), part, name)
}

// parsePath reads a path of the tree. Directories have empty parts.
func parsePath(name string) (file, error) {
	parts := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	notFound := fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	if len(parts) == 1 && parts[0] == "" {
		return file{}, nil
	}
	if parts[0] != "volumes" || len(parts) > 4 {
		return file{}, notFound
	}
	var f file
	if len(parts) > 1 {
		if !cluster.IsUUID(parts[1]) {
			return file{}, notFound
		}
		f.volume = cluster.VolumeID(parts[1])
	}
	if len(parts) > 2 {
		f.part = parts[2]
		if f.part != partSnapshots && f.part != partIncoming && (f.part != partCopy || len(parts) > 3) {
			return file{}, notFound
		}
	}
	if len(parts) > 3 && !f.parseDelta(parts[3]) {
		return file{}, notFound
	}
	return f, nil
}

func (f *file) parseDelta(name string) bool {
	f.delta.Volume = f.volume
	names := strings.Split(name, ":")
	if len(names) == 3 && names[2] == resumeMark {
		f.resume, names = true, names[:2]
	}
	switch len(names) {
	case 1:
		f.delta.To = cluster.SnapshotName(names[0])
	case 2:
		f.delta.From, f.delta.To = cluster.SnapshotName(names[0]), cluster.SnapshotName(names[1])
	default:
		return false
	}
	return cluster.ValidName(string(f.delta.To)) && (f.delta.From == "" || cluster.ValidName(string(f.delta.From)))
}
