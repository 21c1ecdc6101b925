package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/transfer"
)

// A Transport opens sessions to other nodes. It implements transfer.Transport.
type Transport struct {
	// Key is this node's; the others find it in the cluster's records.
	Key Key
	// Log may be nil.
	Log *slog.Logger
	// Spool is the directory where listings of what has arrived elsewhere are kept while they are needed.
	// Empty means that for temporary files. A listing of a full tree of 1 TiB takes half a GiB.
	Spool string

	pause time.Duration // before the second attempt; tests make it short
}

// Dial implements transfer.Transport. It tries once: cluster.ErrUnavailable says that another
// try may work, cluster.ErrForbidden that one side does not know the other's key.
func (t *Transport) Dial(ctx context.Context, to cluster.Node) (transfer.Session, error) {
	s := newSession(t, to)
	_, err := s.connected(ctx)
	if err == nil {
		return s, nil
	}
	s.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // not that the peer is away: nobody should try again
	}
	return nil, err
}

func (t *Transport) log() *slog.Logger {
	if t.Log != nil {
		return t.Log
	}
	return slog.New(slog.DiscardHandler)
}

// A connection is one SSH connection with one SFTP session.
type connection struct {
	ssh  *ssh.Client
	sftp *sftp.Client
	stop context.CancelFunc // of its keepalives
}

// close ends the connection at once, whoever uses it.
func (c *connection) close() error {
	c.stop()
	return c.ssh.Close()
}

// connect makes a connection to a node and checks that it is that node.
func (t *Transport) connect(ctx context.Context, to cluster.Node) (*connection, error) {
	want, err := parseRecord(to.TransferKey)
	if err != nil {
		return nil, fmt.Errorf("%w: the record of node %s has no usable transfer key: %w", cluster.ErrInvalid, to.Name, err)
	}
	dialer := net.Dialer{Timeout: handshakeTimeout}
	raw, err := dialer.DialContext(ctx, "tcp", to.TransferAddress)
	if err != nil {
		return nil, fmt.Errorf("%w: ssh: %w", cluster.ErrUnavailable, err)
	}
	// A peer that accepts and says nothing must not hold us longer than one that is away.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	c, err := t.handshake(raw, to.TransferAddress, want)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("ssh: handshake with %s: %w", to.TransferAddress, err)
	}
	return c, nil
}

func (t *Transport) handshake(raw net.Conn, address string, want ssh.PublicKey) (*connection, error) {
	var changed error
	config := &ssh.ClientConfig{Config: algorithms(), User: "drover", Auth: []ssh.AuthMethod{ssh.PublicKeys(t.Key)},
		HostKeyAlgorithms: []string{want.Type()},
		HostKeyCallback: func(_ string, _ net.Addr, got ssh.PublicKey) error {
			changed = checkHostKey(got, want)
			return changed
		}}
	if err := raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	conn, channels, requests, err := ssh.NewClientConn(buffer(raw), address, config)
	if err != nil && changed != nil {
		return nil, changed
	}
	if err != nil {
		return nil, handshakeError(err)
	}
	client := ssh.NewClient(conn, channels, requests)
	files, err := sftp.NewClient(client, sftp.MaxPacketUnchecked(maxPacket), sftp.MaxConcurrentRequestsPerFile(inFlight))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	alive, cancel := context.WithCancel(context.Background())
	go keepAlive(alive, client)
	return &connection{ssh: client, sftp: files, stop: cancel}, nil
}

// parseRecord reads the transfer key of a node's record, which the node wrote itself.
func parseRecord(text string) (ssh.PublicKey, error) {
	plain, err := cluster.ParseUserKey(text)
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(plain))
	return key, err
}

// checkHostKey accepts exactly the key of the record.
func checkHostKey(got, want ssh.PublicKey) error {
	if authorized(got) == authorized(want) {
		return nil
	}
	return cluster.WithHint(changedError{}, "compare "+authorized(got)+" with the transfer_key of `drover node ls -o json`")
}

// A changedError says that whoever answers is not the node of the record. It is an ErrForbidden.
type changedError struct{}

func (changedError) Error() string { return "host key changed" }

func (changedError) Is(target error) bool { return target == cluster.ErrForbidden }

// handshakeError finds the kind of an error of the handshake. What is not known to be for ever
// may be better next time.
func handshakeError(err error) error {
	var algorithms *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &algorithms):
		return fmt.Errorf("%w: %w", cluster.ErrUnsupported, err)
	case strings.Contains(err.Error(), "unable to authenticate"): // the library has no type for it
		return cluster.WithHint(fmt.Errorf("%w: the key of this node is not accepted: %w", cluster.ErrForbidden, err),
			"compare this node's transfer_key in `drover node ls -o json` with its key file")
	default:
		return fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	}
}
