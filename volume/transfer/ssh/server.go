package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A Server is the transfer server of one node. All fields must be set.
type Server struct {
	Key     Key
	Backend volume.Backend
	// Peers returns the node that a public key, in authorized_keys form, belongs to. A known key
	// without a node is a user's, which may read.
	Peers func(key string) (cluster.NodeID, bool)
	// Permit says whether a node may ship d to this one.
	Permit func(from cluster.NodeID, d volume.Delta) error
	Log    *slog.Logger
}

// nodeExtension carries, from the authentication to the session, who the client is.
const nodeExtension = "drover-node"

// Serve answers connections until ctx ends; then it closes the listener and every connection.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	config := &ssh.ServerConfig{Config: algorithms(), ServerVersion: "SSH-2.0-Drover", PublicKeyCallback: s.authenticate}
	config.AddHostKey(s.Key)
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// Too many open files, most likely: others must end first.
			s.Log.Warn("cannot accept a transfer connection", "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		connections.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			if err := s.serve(ctx, conn, config); err != nil && ctx.Err() == nil {
				s.Log.Debug("a transfer connection ended", "from", conn.RemoteAddr(), "error", err)
			}
		})
	}
}

func (s *Server) authenticate(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	node, ok := s.Peers(authorized(key))
	if !ok {
		return nil, errors.New("the key is not in the cluster's records")
	}
	return &ssh.Permissions{Extensions: map[string]string{nodeExtension: string(node)}}, nil
}

// serve answers one connection: sessions with the subsystem sftp, nothing else.
func (s *Server) serve(ctx context.Context, conn net.Conn, config *ssh.ServerConfig) error {
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	client, channels, requests, err := ssh.NewServerConn(buffer(conn), config)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go ssh.DiscardRequests(requests)
	go keepAlive(ctx, client)
	from := cluster.NodeID(client.Permissions.Extensions[nodeExtension])
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for offered := range channels {
		if offered.ChannelType() != "session" {
			offered.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return err
		}
		sessions.Go(func() { s.session(ctx, from, channel, requests) })
	}
	return client.Wait()
}

// session waits for the request of the sftp subsystem and serves it.
func (s *Server) session(ctx context.Context, from cluster.NodeID, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		wanted := r.Type == "subsystem" && len(r.Payload) > 4 && string(r.Payload[4:]) == "sftp"
		if r.WantReply {
			r.Reply(wanted, nil)
		}
		if !wanted {
			continue
		}
		go ssh.DiscardRequests(requests)
		ctx, cancel := context.WithCancel(ctx)
		h := &handlers{ctx: ctx, server: s, from: from}
		server := sftp.NewRequestServer(endNotifier{channel, cancel},
			sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h}, sftp.WithRSMaxTxPacket(maxPacket), sftp.WithRSAllocator())
		if err := server.Serve(); err != nil {
			s.Log.Debug("a transfer session ended", "from", from, "error", err)
		}
		cancel()
		h.streams.Wait()
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
		return
	}
}

// endNotifier tells, as soon as the client is gone, those who wait for more of its packets:
// the SFTP server waits for them before it says so itself.
type endNotifier struct {
	ssh.Channel
	gone context.CancelFunc
}

func (e endNotifier) Read(p []byte) (int, error) {
	n, err := e.Channel.Read(p)
	if err != nil {
		e.gone()
	}
	return n, err
}

// keepAlive asks the other side for an answer again and again, and ends the connection when
// none comes.
func keepAlive(ctx context.Context, conn ssh.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(aliveInterval):
		}
		dead := time.AfterFunc(aliveTimeout, func() { conn.Close() })
		_, _, err := conn.SendRequest("keepalive@drover", true, nil)
		dead.Stop()
		if err != nil {
			return
		}
	}
}

// errUser: users look, nodes ship.
var errUser = fmt.Errorf("%w: this key may only read", cluster.ErrForbidden)
