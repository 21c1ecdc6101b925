package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A Server is the transfer server of one node. The fields up to Log must be set.
type Server struct {
	Key     Key
	Backend volume.Backend
	// Peers returns the node that a public key, in authorized_keys form, belongs to. A known key
	// without a node is a user's, which may read.
	Peers func(key string) (cluster.NodeID, bool)
	// Permit says whether a node may ship d to this one, and returns d with what this node adds.
	Permit func(from cluster.NodeID, d volume.Delta) (volume.Delta, error)
	Log    *slog.Logger

	// Names, if set, returns what the volumes of which this node has a copy are called.
	Names func() map[cluster.VolumeID]string

	// Images may be nil, for a node whose applications have none.
	Images Images

	// Limits may be left out.
	Limits Limits

	taking   time.Duration // in place of takeTimeout; tests make it short
	arrivals arrivals
	visitors visitors
	once     sync.Once
}

// Images are what the applications of this node run from. Both methods refuse a node that has no
// reason to ask by cluster.ErrForbidden.
type Images interface {
	// HasImage reports whether the image is here.
	HasImage(ctx context.Context, from cluster.NodeID, name string) (bool, error)
	// LoadImage takes the stream that SaveImage of another node's runtime made.
	LoadImage(ctx context.Context, from cluster.NodeID, name string, stream io.Reader) error
}

// These carry, from the authentication to the session, who the client is.
const (
	nodeExtension = "drover-node"
	keyExtension  = "drover-key"
)

// Serve answers connections until ctx ends; then it closes the listener and every connection.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	config := &ssh.ServerConfig{Config: algorithms(), ServerVersion: "SSH-2.0-Drover",
		PublicKeyCallback: s.authenticate, PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519}}
	config.AddHostKey(s.Key)
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	s.once.Do(func() { s.visitors.limits = s.Limits }) // it may serve several listeners
	var told time.Time                                 // when the log last had of a crowd
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return ctx.Err()
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("serve transfers: %w", err)
		case err != nil:
			// Too many open files, most likely: others must end first.
			s.Log.Warn("cannot accept a transfer connection", "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		stranger, crowded := s.visitors.meet(conn)
		if crowded && time.Since(told) > crowdInterval {
			told = time.Now()
			s.Log.Warn("too many transfer connections that do not show who they are; the oldest give way", "newest", conn.RemoteAddr())
		}
		connections.Go(func() { s.answer(ctx, stranger, config) })
	}
}

// crowdInterval is how often the log says that there are too many strangers.
const crowdInterval = 10 * time.Second

func (s *Server) answer(ctx context.Context, stranger *stranger, config *ssh.ServerConfig) {
	conn := stranger.conn
	defer conn.Close()
	defer s.visitors.part(stranger)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := s.serve(ctx, stranger, config); err != nil && ctx.Err() == nil {
		s.Log.Debug("a transfer connection ended", "from", conn.RemoteAddr(), "error", err)
	}
}

func (s *Server) authenticate(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	public := authorized(key)
	node, ok := s.Peers(public)
	if !ok {
		return nil, errors.New("the key is not in the cluster's records")
	}
	return &ssh.Permissions{Extensions: map[string]string{nodeExtension: string(node), keyExtension: public}}, nil
}

// recheckInterval is how long a connection may outlive the record of its key.
const recheckInterval = time.Second

// recheck ends the connection when its key is no longer in the records as whose it was.
func (s *Server) recheck(ctx context.Context, client *ssh.ServerConn) {
	is := client.Permissions.Extensions
	ticker := time.NewTicker(recheckInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if node, ok := s.Peers(is[keyExtension]); !ok || string(node) != is[nodeExtension] {
			s.Log.Info("the key of a transfer connection is no longer in the cluster's records", "from", client.RemoteAddr(), "node", is[nodeExtension])
			client.Close() // whatever it was doing
			return
		}
	}
}

// serve answers one connection: sessions with the subsystem sftp, nothing else.
func (s *Server) serve(ctx context.Context, stranger *stranger, config *ssh.ServerConfig) error {
	conn := stranger.conn
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	client, channels, requests, err := ssh.NewServerConn(buffer(conn), config)
	if err != nil {
		return err
	}
	defer client.Close()
	s.visitors.part(stranger)
	is := client.Permissions.Extensions
	isNode := is[nodeExtension] != ""
	guest, err := s.visitors.enter(is[keyExtension], isNode)
	if err != nil {
		s.Log.Warn("a transfer connection is one too many", "from", conn.RemoteAddr(), "node", is[nodeExtension])
		return err
	}
	defer guest.leave(isNode)
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go ssh.DiscardRequests(requests)
	go keepAlive(ctx, client)
	go s.recheck(ctx, client)
	return s.sessions(ctx, client, guest, channels)
}

// sessions answers those of one connection.
func (s *Server) sessions(ctx context.Context, client *ssh.ServerConn, guest *guest, channels <-chan ssh.NewChannel) error {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	slots := make(chan struct{}, s.Limits.sessions())
	for offered := range channels {
		if offered.ChannelType() != "session" {
			offered.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		end, ok := guest.session()
		if ok {
			select {
			case slots <- struct{}{}:
			default:
				end()
				ok = false
			}
		}
		if !ok {
			offered.Reject(ssh.ResourceShortage, "too many sessions")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			end()
			return err
		}
		sessions.Go(func() {
			defer func() { <-slots; end() }()
			s.session(ctx, client, guest, channel, requests)
		})
	}
	return client.Wait()
}

// session waits for the request of the sftp subsystem and serves it.
func (s *Server) session(ctx context.Context, client *ssh.ServerConn, guest *guest, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		wanted := r.Type == "subsystem" && len(r.Payload) > 4 && string(r.Payload[4:]) == "sftp"
		if r.WantReply {
			r.Reply(wanted, nil)
		}
		if wanted {
			s.files(ctx, client, guest, channel, requests)
			return
		}
	}
}

// files serves SFTP.
func (s *Server) files(ctx context.Context, client *ssh.ServerConn, guest *guest, channel ssh.Channel, requests <-chan *ssh.Request) {
	taking, abandon := context.WithCancel(ctx)
	defer abandon()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		ssh.DiscardRequests(requests) // they end with the client
		cancel()
		// The SFTP server sees the end only behind what has come. That is taken still: what is thrown
		// away here must be shipped again.
		select {
		case <-taking.Done():
		case <-time.After(cmp.Or(s.taking, takeTimeout)):
			abandon()
		}
	}()
	h := &handlers{ctx: ctx, taking: taking, server: s, conn: client, guest: guest, from: cluster.NodeID(client.Permissions.Extensions[nodeExtension])}
	defer h.streams.Wait()
	server := sftp.NewRequestServer(drained{channel}, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithRSMaxTxPacket(maxPacket), sftp.WithRSAllocator())
	if err := server.Serve(); err != nil {
		s.Log.Debug("a transfer session ended", "from", h.from, "error", err)
	}
	cancel()
	channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
}

// A drained channel is read to its end, whatever becomes of the connection: with the last of what has come
// the library returns that no more can be asked for.
type drained struct{ ssh.Channel }

func (d drained) Read(p []byte) (int, error) {
	n, err := d.Channel.Read(p)
	if n > 0 {
		err = nil
	}
	return n, err
}

// errUser: users look, nodes ship. It has the code for which clients of people have words.
var errUser = fmt.Errorf("this key may only read: %w", sftp.ErrSSHFxPermissionDenied)

// errNode: an owner sends, and no other node has a use for the data. So a node that was taken over
// gets at the volumes that it holds, and at no others.
var errNode = fmt.Errorf("%w: the key of a node may not read volumes", cluster.ErrForbidden)
