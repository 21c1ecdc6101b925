package proxy

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	diagRequestSize  = unix.SizeofNlMsghdr + 56
	diagAnswerSize   = unix.SizeofNlMsghdr + 72
	diagState        = unix.SizeofNlMsghdr + 1
	diagInode        = unix.SizeofNlMsghdr + 68
)

// peerHeld asks the kernel whether the other end of a connection is a socket that somebody holds. It
// knows that of the sockets of this network namespace: known is false for a peer on another host or in
// a container.
func peerHeld(local, remote netip.AddrPort) (held, known bool) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_INET_DIAG)
	if err != nil {
		return false, false
	}
	defer unix.Close(fd)
	// The kernel answers before Sendto returns.
	if err := unix.Sendto(fd, diagRequest(remote, local), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, false
	}
	var answer [512]byte
	n, _, err := unix.Recvfrom(fd, answer[:], 0)
	if err != nil || n < diagAnswerSize || binary.NativeEndian.Uint16(answer[4:]) != sockDiagByFamily || answer[diagState] == tcpListen {
		return false, false
	}
	// One that was closed has no inode, while it still waits for its connection to end.
	return binary.NativeEndian.Uint32(answer[diagInode:]) != 0, true
}

// diagRequest asks for the socket with that own and that other end.
func diagRequest(own, other netip.AddrPort) []byte {
	b := make([]byte, 0, diagRequestSize)
	b = binary.NativeEndian.AppendUint32(b, diagRequestSize)
	b = binary.NativeEndian.AppendUint16(b, sockDiagByFamily)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence and port: this is the only request
	family := byte(unix.AF_INET)
	if own.Addr().Is6() {
		family = unix.AF_INET6
	}
	b = append(b, family, unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0)) // whatever its state
	b = binary.BigEndian.AppendUint16(b, own.Port())
	b = binary.BigEndian.AppendUint16(b, other.Port())
	for _, a := range []netip.Addr{own.Addr(), other.Addr()} {
		b = append(b, a.AsSlice()...)
		b = append(b, make([]byte, 16-len(a.AsSlice()))...)
	}
	b = binary.NativeEndian.AppendUint32(b, 0)             // by any interface
	return binary.NativeEndian.AppendUint64(b, ^uint64(0)) // without a cookie
}
