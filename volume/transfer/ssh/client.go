package ssh

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/cespare/xxhash/v2"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// A Transport opens sessions to other nodes. It implements transfer.Transport.
type Transport struct {
	// Key is this node's; the others find it in the cluster's records.
	Key Key
	// Log may be nil.
	Log *slog.Logger
}

// Dial implements transfer.Transport.
func (t *Transport) Dial(ctx context.Context, to cluster.Node) (transfer.Session, error) {
	s := &session{transport: t, to: to}
	if _, err := s.connected(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// A session is a connection to a node that is made again when it breaks.
type session struct {
	transport *Transport
	to        cluster.Node

	mu   sync.Mutex
	conn *connection // nil when there is none
}

// A connection is one SSH connection with one SFTP session.
type connection struct {
	ssh    *ssh.Client
	sftp   *sftp.Client
	cancel context.CancelFunc
}

func (c *connection) close() error {
	c.cancel()
	return errors.Join(c.sftp.Close(), c.ssh.Close())
}

// connected returns the connection, which it makes if there is none.
func (s *session) connected(ctx context.Context) (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return s.conn, nil
	}
	conn, err := s.connect(ctx)
	s.conn = conn
	return conn, err
}

func (s *session) connect(ctx context.Context) (*connection, error) {
	want, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.to.TransferKey))
	if err != nil {
		return nil, fmt.Errorf("%w: the record of node %s has no usable transfer key: %w", cluster.ErrInvalid, s.to.Name, err)
	}
	dialer := net.Dialer{Timeout: handshakeTimeout}
	raw, err := dialer.DialContext(ctx, "tcp", s.to.TransferAddress)
	if err != nil {
		return nil, fmt.Errorf("%w: ssh: %w", cluster.ErrUnavailable, err)
	}
	config := &ssh.ClientConfig{Config: algorithms(), User: "drover", Auth: []ssh.AuthMethod{ssh.PublicKeys(s.transport.Key)},
		HostKeyCallback: s.checkHostKey(want), HostKeyAlgorithms: []string{want.Type()}, Timeout: handshakeTimeout}
	// A peer that accepts and says nothing must not hold us longer than one that is away.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	raw.SetDeadline(time.Now().Add(handshakeTimeout))
	conn, channels, requests, err := ssh.NewClientConn(buffer(raw), s.to.TransferAddress, config)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("ssh: handshake with %s: %w", s.to.TransferAddress, err)
	}
	raw.SetDeadline(time.Time{})
	client := ssh.NewClient(conn, channels, requests)
	files, err := sftp.NewClient(client, sftp.MaxPacketUnchecked(maxPacket), sftp.MaxConcurrentRequestsPerFile(inFlight))
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("ssh: sftp with %s: %w", s.to.TransferAddress, err)
	}
	alive, cancel := context.WithCancel(context.Background())
	go keepAlive(alive, client)
	return &connection{ssh: client, sftp: files, cancel: cancel}, nil
}

func (s *session) checkHostKey(want ssh.PublicKey) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, got ssh.PublicKey) error {
		if authorized(got) == authorized(want) {
			return nil
		}
		return cluster.WithHint(fmt.Errorf("%w: host key changed", cluster.ErrForbidden),
			"compare "+authorized(got)+" with the transfer_key of `drover node ls -o json`")
	}
}

// drop closes a connection that has proved broken, so that the next use makes a new one.
func (s *session) drop(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == c {
		s.conn = nil
	}
	c.close() // it is broken; there is nothing to learn from how
}

// Close implements transfer.Session.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	err := s.conn.close()
	s.conn = nil
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Copy implements transfer.Session.
func (s *session) Copy(ctx context.Context, id cluster.VolumeID) (volume.Copy, error) {
	return retry(ctx, s, func(c *connection) (volume.Copy, error) { return readCopy(c, id) })
}

func readCopy(c *connection, id cluster.VolumeID) (volume.Copy, error) {
	var held volume.Copy
	f, err := c.sftp.Open(path.Join("/volumes", string(id), partCopy))
	if err != nil {
		return held, fmt.Errorf("volume %s: %w", id, err)
	}
	defer f.Close()
	return held, json.NewDecoder(f).Decode(&held)
}

// Send implements transfer.Session.
func (s *session) Send(ctx context.Context, d volume.Delta, source transfer.Source, o transfer.Options) (int64, error) {
	out := newMeter(o)
	first := true
	_, err := retry(ctx, s, func(c *connection) (struct{}, error) {
		if !first {
			if done, err := s.goOn(c, &d); done || err != nil {
				return struct{}{}, err
			}
		}
		first = false
		return struct{}{}, upload(ctx, c, d, source, out)
	})
	return out.finish(), err
}

// goOn looks at what became of a transfer that broke off. Either it is done after all, or d goes
// on from what has arrived.
func (s *session) goOn(c *connection, d *volume.Delta) (done bool, err error) {
	held, err := readCopy(c, d.Volume)
	if remote := answered(err); remote != nil && errors.Is(remote, cluster.ErrNotFound) {
		d.Resume = nil
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if held.Partial != nil && held.Partial.From == d.From && held.Partial.To == d.To {
		d.Resume = held.Partial.Token
		return false, nil
	}
	return slices.ContainsFunc(held.Snapshots, func(s cluster.Snapshot) bool { return s.Name == d.To }), nil
}

// upload writes one stream into the file of its delta. Closing the file is the confirmation.
func upload(ctx context.Context, c *connection, d volume.Delta, source transfer.Source, out *meter) error {
	f, err := c.sftp.OpenFile(deltaPath(partIncoming, d), os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, w := io.Pipe()
	made := make(chan error, 1)
	go func() {
		hash := xxhash.New()
		to := &noting{w: io.MultiWriter(out.writer(ctx, w), hash)}
		err := source.Send(ctx, d, to)
		if err == nil {
			_, err = w.Write(binary.BigEndian.AppendUint64(nil, hash.Sum64()))
		} else if to.err == nil {
			err = &localError{err} // not for want of a connection
		}
		w.CloseWithError(err)
		made <- err
	}()
	// A wait for an answer that never comes ends with the context, by ending the connection.
	stop := context.AfterFunc(ctx, func() { c.ssh.Close() })
	_, err = f.ReadFromWithConcurrency(r, inFlight)
	r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // the source must not write for nobody
	sourceErr := <-made
	if local := new(localError); err == nil || errors.As(sourceErr, &local) {
		err = sourceErr
	}
	if err != nil && answered(err) == nil {
		// Closing the file in order would call the stream complete.
		c.ssh.Close()
		stop()
		return errors.Join(context.Cause(ctx), err)
	}
	if closing := f.Close(); closing != nil {
		err = closing // says why writing failed, too
	}
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

// A localError is the source's own: a new connection would not help.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }

// noting remembers whether writing failed.
type noting struct {
	w   io.Writer
	err error
}

func (n *noting) Write(p []byte) (int, error) {
	written, err := n.w.Write(p)
	if err != nil {
		n.err = err
	}
	return written, err
}

// maxFruitless is how often in a row a broken connection is made again.
const maxFruitless = 6

// retry runs an operation, again on a new connection when the way broke, not when the other side
// said no.
func retry[T any](ctx context.Context, s *session, operation func(*connection) (T, error)) (T, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.MaxInterval = 50*time.Millisecond, 3*time.Second
	return backoff.Retry(ctx, func() (T, error) {
		var none T
		c, err := s.connected(ctx)
		if err != nil {
			if errors.Is(err, cluster.ErrUnavailable) {
				return none, err
			}
			return none, backoff.Permanent(err)
		}
		result, err := operation(c)
		if err == nil {
			return result, nil
		}
		if remote := answered(err); remote != nil {
			return none, backoff.Permanent(error(remote))
		}
		s.drop(c)
		var local *localError
		if ctx.Err() != nil || errors.As(err, &local) {
			return none, backoff.Permanent(err)
		}
		if s.transport.Log != nil {
			s.transport.Log.Warn("a transfer connection broke; it is made again", "to", s.to.Name, "error", err)
		}
		return none, err
	}, backoff.WithBackOff(policy), backoff.WithMaxTries(maxFruitless), backoff.WithMaxElapsedTime(0))
}
