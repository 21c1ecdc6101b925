// Package membership knows which nodes are there, by gossip (SWIM, hashicorp/memberlist).
//
//	m, err := membership.Start(membership.Options{ID: id, Bind: "10.0.0.1:7946", Key: key})
//	m.SetPeers(map[cluster.NodeID]string{b: "10.0.0.2:7946"})
//	<-m.Changed()
//	m.Missing()
//
// What it says wakes things up and is shown to people. It never decides who may write: a node
// that looks dead from here may only be behind a cut cable, and still be writing.
package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/drover/drover/cluster"
)

// Options are how to take part.
type Options struct {
	ID cluster.NodeID
	// Bind is the IP address and port to gossip on, UDP and TCP.
	Bind string
	// Key encrypts all gossip: 16, 24 or 32 bytes, the same for every node. It is required.
	Key []byte
	// Rejoin is about how often peers that are missing are asked to join again: 5 s.
	Rejoin time.Duration
	// Log may be nil.
	Log *slog.Logger
}

// A Membership is this node's part in the gossip.
type Membership struct {
	name    string
	list    *memberlist.Memberlist
	log     *slog.Logger
	changed chan struct{} // has room for one
	cancel  context.CancelFunc
	rejoins sync.WaitGroup
	left    atomic.Bool

	mu    sync.Mutex
	peers map[cluster.NodeID]string // as the cluster's records say
	alive map[cluster.NodeID]bool
	rival struct {
		address string
		at      time.Time
	}
}

// Start begins to take part. It knows nobody before SetPeers.
func Start(o Options) (*Membership, error) {
	if len(o.Key) == 0 {
		return nil, fmt.Errorf("%w: membership without a key would let anybody in", cluster.ErrInvalid)
	}
	host, portText, err := net.SplitHostPort(o.Bind)
	if err != nil {
		return nil, fmt.Errorf("%w: gossip address %q: %w", cluster.ErrInvalid, o.Bind, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("%w: gossip address %q: %w", cluster.ErrInvalid, o.Bind, err)
	}
	m := &Membership{name: string(o.ID), log: o.Log, changed: make(chan struct{}, 1), peers: map[cluster.NodeID]string{}, alive: map[cluster.NodeID]bool{}}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	config := memberlist.DefaultLANConfig()
	config.Name = string(o.ID)
	config.BindAddr, config.BindPort, config.AdvertisePort = host, port, port
	config.SecretKey = o.Key
	config.Events, config.Conflict = m, m
	config.Logger = slog.NewLogLogger(m.log.Handler(), slog.LevelDebug)
	// A node that comes back with another address, or after a long partition, is taken at once.
	config.DeadNodeReclaimTime = time.Second
	bounded, err := listen(host, port, config.Logger)
	if err != nil {
		return nil, fmt.Errorf("take part in membership at %s: %w", o.Bind, err)
	}
	config.Transport = bounded
	if m.list, err = memberlist.Create(config); err != nil {
		return nil, errors.Join(fmt.Errorf("take part in membership at %s: %w", o.Bind, err), bounded.Shutdown())
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	every := o.Rejoin
	if every <= 0 {
		every = 5 * time.Second
	}
	m.rejoins.Go(func() { m.rejoin(ctx, every) })
	return m, nil
}

// SetPeers says which other nodes there should be, and where they gossip.
func (m *Membership) SetPeers(peers map[cluster.NodeID]string) {
	m.mu.Lock()
	added := false
	for id, address := range peers {
		added = added || m.peers[id] != address
	}
	m.peers = peers
	m.mu.Unlock()
	if added {
		m.rejoins.Go(m.joinMissing)
	}
}

// Missing returns the peers that do not take part as far as this node sees; none is not nil.
func (m *Membership) Missing() []cluster.NodeID {
	m.mu.Lock()
	defer m.mu.Unlock()
	missing := []cluster.NodeID{}
	for id := range m.peers {
		if !m.alive[id] {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	return missing
}

// rivalLately is how long after it was last told of another host counts as there. Nodes tell each other
// all that they know every 30 s.
const rivalLately = 90 * time.Second

// Rival returns the address of another host that lately took part under the name of this one; empty if
// none did: somebody has cloned a host.
func (m *Membership) Rival() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rival.address == "" || time.Since(m.rival.at) > rivalLately {
		return ""
	}
	return m.rival.address
}

// NotifyConflict is called by memberlist, when two addresses have one name.
func (m *Membership) NotifyConflict(existing, other *memberlist.Node) {
	if other.Name != m.name || other.Address() == existing.Address() { // two may share a host, and so its address
		return
	}
	m.mu.Lock()
	m.rival.address, m.rival.at = other.Address(), time.Now()
	m.mu.Unlock()
	m.log.Error("another host takes part as this node", "address", other.Address())
}

// Changed receives a value soon after a node appeared or disappeared.
func (m *Membership) Changed() <-chan struct{} { return m.changed }

// Leave says goodbye to the others, as far as ctx allows, and ends. Again it does nothing.
func (m *Membership) Leave(ctx context.Context) error {
	if m.left.Swap(true) {
		return nil
	}
	m.cancel()
	m.rejoins.Wait()
	patience := time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	return errors.Join(m.list.Leave(patience), m.list.Shutdown())
}

// rejoin asks peers that are missing to join, again and again: memberlist forgets a dead node
// after a while, so that a long partition would last for ever.
func (m *Membership) rejoin(ctx context.Context, every time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every/2 + rand.N(every)):
			m.joinMissing()
		}
	}
}

func (m *Membership) joinMissing() {
	m.mu.Lock()
	var missing []string
	for id, address := range m.peers {
		if !m.alive[id] {
			missing = append(missing, address)
		}
	}
	m.mu.Unlock()
	if len(missing) == 0 {
		return
	}
	if _, err := m.list.Join(missing); err != nil {
		m.log.Debug("some peers did not join", "error", err)
	}
}

// NotifyJoin is called by memberlist.
func (m *Membership) NotifyJoin(n *memberlist.Node) { m.note(n, true) }

// NotifyLeave is called by memberlist.
func (m *Membership) NotifyLeave(n *memberlist.Node) { m.note(n, false) }

// NotifyUpdate is called by memberlist.
func (m *Membership) NotifyUpdate(*memberlist.Node) {}

func (m *Membership) note(n *memberlist.Node, alive bool) {
	m.mu.Lock()
	m.alive[cluster.NodeID(n.Name)] = alive
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}
