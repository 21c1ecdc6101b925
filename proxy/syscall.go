package proxy

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// These calls are made for every connection and every round trip, on descriptors that never
// block. So they tell the scheduler nothing, and they skip the peer's address, which the
// wrappers of package unix allocate.

// recv reads into b, which must not be empty.
func recv(fd uintptr, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// send writes from b, which must not be empty.
func send(fd uintptr, b []byte, flags int) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
			uintptr(flags|unix.MSG_NOSIGNAL), 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// accept returns a connection from the backlog of a listening socket.
func accept(fd uintptr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, fd, 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

// localPort returns the port of a connected socket, or 0.
func localPort(fd uintptr) int {
	var sa unix.RawSockaddrInet6 // both families have the port in the same place
	size := uint32(unix.SizeofSockaddrInet6)
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, fd, uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0
	}
	b := (*[2]byte)(unsafe.Pointer(&sa.Port)) // big-endian
	return int(b[0])<<8 | int(b[1])
}
