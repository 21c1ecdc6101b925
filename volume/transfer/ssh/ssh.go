// Package ssh carries volumes between nodes over SSH, by an SFTP server inside each agent.
//
//	server := &ssh.Server{Key: key, Backend: b, Peers: peers, Permit: permit, Names: names}
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
// so that any SFTP client with an accepted key can look at snapshots and pull them. For people a
// volume's name will do in place of its id, and what is incoming is not shown. A stream that
// is written ends with its xxHash64, 8 bytes, which is how both ends know that they mean the same
// bytes; closing the file answers when everything is on stable storage, or why not. A name that
// ends in ":resume" goes on with what has arrived of a stream that was cut.
//
//	source.Send -> pipe -> 64 packets under way -> turn -> pipe -> Backend.Receive
//	      |                                                 |
//	      +----- hash ------------- the trailer ------------+
//
// Nobody gets a shell, a command or a forwarded port. A node is accepted by the key in the
// cluster's records, and accepts its peer by it. The package does not know who may ship what:
// Server.Permit does.
package ssh

import (
	"time"

	"golang.org/x/crypto/ssh"
)

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
	// settleTimeout is how long a packet waits for the one before it, which nobody has sent yet.
	settleTimeout = 10 * time.Second
	// takeTimeout is how long a backend may work at what has come, some megabytes, when its client is gone.
	takeTimeout = 10 * time.Second
)
