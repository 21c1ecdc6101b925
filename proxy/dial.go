package proxy

import (
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout is how long an endpoint may take to answer before it is tried anew.
const dialTimeout = time.Second

// A dialing is a connection to an endpoint that is being made.
type dialing struct {
	*socket
	to   unix.Sockaddr
	port int
}

// dial begins to connect to a host:port. It does not wait for the network, except to look up a
// host that is not an IP address.
func dial(endpoint string, l limits) (dialing, error) {
	address, err := resolve(endpoint)
	if err != nil {
		return dialing{}, err
	}
	family, to := sockaddr(address)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return dialing{}, os.NewSyscallError("socket", err)
	}
	if err = prepare(fd, l); err == nil {
		err = unix.Connect(fd, to)
	}
	if err != nil && !underWay(err) {
		unix.Close(fd)
		return dialing{}, os.NewSyscallError("connect", err)
	}
	s, err := newSocket(fd)
	return dialing{s, to, int(address.Port())}, err
}

// wait returns when the connection is made, has failed, was interrupted, or dialTimeout is over.
func (d dialing) wait() error {
	var err error
	attempt := func(fd uintptr) bool {
		// The second connect of a socket reports how the first one went.
		err = unix.Connect(int(fd), d.to)
		return !underWay(err)
	}
	// A neighbour has answered by now: then there is no timer to set.
	if cerr := d.raw.Control(func(fd uintptr) { attempt(fd) }); cerr != nil {
		return cerr
	}
	if underWay(err) {
		d.writeBy(time.Now().Add(dialTimeout))
		if werr := d.raw.Write(attempt); werr != nil {
			return werr
		}
		d.writeBy(time.Time{})
	}
	if err != nil && err != unix.EISCONN {
		return os.NewSyscallError("connect", err)
	}
	return d.refuseSelf()
}

// refuseSelf fails if the connection leads to itself. That happens when nobody listens on a local
// port from which the kernel also takes the ports of outgoing connections. Equal ports are enough
// to refuse it: between two hosts they are rare, and the next attempt has another one.
func (d dialing) refuseSelf() error {
	local := 0
	err := d.raw.Control(func(fd uintptr) { local = localPort(fd) })
	if err == nil && local == d.port {
		err = os.NewSyscallError("connect", unix.ECONNREFUSED)
	}
	return err
}

func underWay(err error) bool {
	return err == unix.EINPROGRESS || err == unix.EALREADY || err == unix.EINTR
}

// resolve returns the address of a host:port. An empty host is this one.
func resolve(endpoint string) (netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(endpoint); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
	}
	a, err := net.ResolveTCPAddr("tcp", endpoint)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ap := a.AddrPort()
	if !ap.Addr().IsValid() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()), nil
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// sockaddr returns the address as the kernel wants it. Zones are not supported.
func sockaddr(ap netip.AddrPort) (family int, to unix.Sockaddr) {
	if ap.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}
