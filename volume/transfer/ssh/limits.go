package ssh

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/drover/drover/cluster"
)

// Limits bound what clients can take up. Zero means the default. With the defaults the strangers cost
// some 25 MB at most, a user's key some 40 MB, all users 280 MB, and a node's key 600 MB, when it ships as
// many volumes at once; what idles costs less than a tenth of that.
type Limits struct {
	// Strangers are connections that have not shown who they are yet: 256 at once, and half of them from
	// one address. The oldest gives way to the newest, of the address that has the most: who knows how to
	// show itself does so in a moment, and who is silent stops nobody. Each costs 0.1 MB, for 10 s.
	Strangers int
	// Connections of nodes at once: 128, and 64 of them of one node: each volume that it ships takes one.
	// Users have a quarter of that, 32, apart from the nodes, and 4 of one key. Each costs 0.6 MB. What comes
	// beyond them is closed.
	Connections int
	// Sessions at once in one connection: 4. One key has as many as it may have connections, over all of
	// them. A session takes some 8 MB at most: 32 packets of 256 KiB.
	Sessions int
	// Handles that one key has open at once, over all its sessions: 64 of a node, 8 of a user. One that
	// is read or written costs 1 MB and what the backend takes for a stream; one that is not, nothing.
	Handles int
}

func (l Limits) strangers() int { return cmp.Or(l.Strangers, 256) }

// strangersOf one address.
func (l Limits) strangersOf() int { return max(l.strangers()/2, 1) }

// connections of all nodes, or of all users.
func (l Limits) connections(node bool) int { return share(cmp.Or(l.Connections, 128), node) }

// connectionsOf one key.
func (l Limits) connectionsOf(node bool) int {
	if node {
		return min(64, l.connections(node))
	}
	return min(4, l.connections(node))
}

func (l Limits) sessions() int { return cmp.Or(l.Sessions, 4) }

// handlesOf one key.
func (l Limits) handlesOf(node bool) int {
	if l.Handles > 0 {
		return l.Handles
	}
	if node {
		return 64
	}
	return 8
}

// share is what nodes have of a limit, or users.
func share(limit int, node bool) int {
	if node {
		return limit
	}
	return max(limit/4, 1)
}

// Visitors are those who are connected. The zero value has none.
type visitors struct {
	limits Limits

	mu        sync.Mutex
	strangers []*stranger // from old to new
	guests    map[string]*guest
	// nodes and users are how many connections they have.
	nodes, users int
}

// A stranger is a connection that has not shown who it is.
type stranger struct {
	conn net.Conn
	from netip.Prefix
}

// meet lets a connection try to show who it is, and closes another one if there are too many. It
// reports whether it did.
func (v *visitors) meet(conn net.Conn) (s *stranger, crowded bool) {
	s = &stranger{conn, network(conn.RemoteAddr())}
	v.mu.Lock()
	defer v.mu.Unlock()
	count := map[netip.Prefix]int{s.from: 1}
	most := s.from
	for _, other := range v.strangers {
		if count[other.from]++; count[other.from] > count[most] {
			most = other.from
		}
	}
	if count[s.from] > v.limits.strangersOf() {
		most, crowded = s.from, true
	}
	if crowded = crowded || len(v.strangers) >= v.limits.strangers(); crowded {
		i := slices.IndexFunc(v.strangers, func(other *stranger) bool { return other.from == most })
		i = max(i, 0)
		v.strangers[i].conn.Close()
		v.strangers = slices.Delete(v.strangers, i, i+1)
	}
	v.strangers = append(v.strangers, s)
	return s, crowded
}

// part ends the time of a stranger, who has become a guest or is gone.
func (v *visitors) part(s *stranger) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := slices.Index(v.strangers, s); i >= 0 {
		v.strangers = slices.Delete(v.strangers, i, i+1)
	}
}

// network is whose connections are counted together: an IPv4 address, or the 64 bits of an IPv6 network,
// in which a host has as many addresses as it likes.
func network(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{} // not of the Internet
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // of that many bits there is one
	return p
}

// A guest is a key that has shown itself, with all that it has.
type guest struct {
	of   *visitors
	key  string
	node bool
	// Under of.mu.
	connections, sessions, handles int
}

var (
	errConnections = errors.New("too many connections")
	errHandles     = fmt.Errorf("%w: too many files are open at once", cluster.ErrUnavailable)
)

// enter lets a key have another connection.
func (v *visitors) enter(key string, node bool) (*guest, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	g := v.guests[key]
	if g == nil {
		g = &guest{of: v, key: key}
	}
	all := &v.users
	if node {
		all = &v.nodes
	}
	if g.connections >= v.limits.connectionsOf(node) || *all >= v.limits.connections(node) {
		return nil, errConnections
	}
	if v.guests == nil {
		v.guests = map[string]*guest{}
	}
	v.guests[key] = g
	g.node = node // it may have become one
	g.connections++
	*all++
	return g, nil
}

// leave gives back a connection, which was that of a node or not.
func (g *guest) leave(node bool) {
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	g.connections--
	if node {
		g.of.nodes--
	} else {
		g.of.users--
	}
	if g.connections == 0 {
		delete(g.of.guests, g.key)
	}
}

// session begins another session, if there may be one, which ends with the returned function.
func (g *guest) session() (end func(), ok bool) {
	return g.take(&g.sessions, g.of.limits.connectionsOf(g.node))
}

// open opens another handle, likewise.
func (g *guest) open() (closed func(), err error) {
	closed, ok := g.take(&g.handles, g.of.limits.handlesOf(g.node))
	if !ok {
		return nil, errHandles
	}
	return closed, nil
}

func (g *guest) take(n *int, limit int) (give func(), ok bool) {
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	if *n >= limit {
		return nil, false
	}
	*n++
	return sync.OnceFunc(func() {
		g.of.mu.Lock()
		defer g.of.mu.Unlock()
		*n--
	}), true
}
