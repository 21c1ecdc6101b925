package proxy

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// breath is how long after the last byte of a request the end may come that belongs to it. An end that
// comes later is that of somebody who has waited for an answer and wants none any more.
const breath = 250 * time.Millisecond

// States of a TCP connection, as the kernel numbers them.
const (
	tcpClose     = 7  // reset, or timed out
	tcpCloseWait = 8  // the peer has ended its sending side
	tcpListen    = 10 // no connection at all
)

// gone reports whether a client that had to wait wants no answer any more, and so must not have its
// request done: it may have asked elsewhere, or told its user that nothing was done. Nothing is read.
//
// A reset tells. An end alone does not: one that closes its connection sends the same end as one that
// only says that its request is complete (`nc -N`), and TCP tells them apart when something is sent to
// them, which only an endpoint can. So, in this order:
//
//	a client on this host:    the kernel knows whether somebody still holds its socket
//	the end came at once:     within a breath of the last byte: it belongs to the request, which is led on,
//	                          as is one whose sender never meant to wait for an answer
//	the end came later:       the client has given up. Who does end its request that late, and reads on, is
//	                          refused by a reset, and knows that nothing was done
//
// A client that has not ended is there.
func (s *socket) gone() (gone bool) {
	s.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		switch {
		case err != nil:
		case info.State == tcpClose:
			gone = true
		case info.State != tcpCloseWait:
		default:
			local, remote, ok := addresses(int(fd))
			if held, known := peerHeld(local, remote); ok && known {
				gone = !held
				return
			}
			gone = endedLate(info)
		}
	})
	return gone
}

// endedLate reports whether the peer's end came more than a breath after its last byte, or after the
// connection if it sent none. The end is the last that was heard of it: nothing has been sent that it
// could have acknowledged since.
func endedLate(info *unix.TCPInfo) bool {
	return time.Duration(int64(info.Last_data_recv)-int64(info.Last_ack_recv))*time.Millisecond > breath
}

// addresses returns both ends of a connected socket.
func addresses(fd int) (local, remote netip.AddrPort, ok bool) {
	own, err := unix.Getsockname(fd)
	if err != nil {
		return local, remote, false
	}
	peer, err := unix.Getpeername(fd)
	if err != nil {
		return local, remote, false
	}
	local, remote = addrPort(own), addrPort(peer)
	return local, remote, local.IsValid() && remote.IsValid()
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
