package files

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Flags of inodes, as FS_IOC_GETFLAGS of linux/fs.h has them. The others are about how a file system
// stores a file, and its own business.
const (
	flagImmutable = 0x10
	flagAppend    = 0x20
	flagNoDump    = 0x40
	carriedFlags  = flagImmutable | flagAppend | flagNoDump
	lockingFlags  = flagImmutable | flagAppend
)

// flagsOf returns those that are carried.
func flagsOf(st *unix.Statx_t) uint32 {
	var flags uint32
	if st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0 {
		flags |= flagImmutable
	}
	if st.Attributes&unix.STATX_ATTR_APPEND != 0 {
		flags |= flagAppend
	}
	if st.Attributes&unix.STATX_ATTR_NODUMP != 0 {
		flags |= flagNoDump
	}
	return flags
}

// setFlags makes the carried flags of an open file or directory those.
func setFlags(fd int, flags uint32) error {
	now, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) {
		if flags == 0 {
			return nil
		}
		return unix.EOPNOTSUPP
	}
	if err != nil || now&carriedFlags == flags {
		return err
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(now&^carriedFlags|flags))
}

// unlockFile takes away the flags that keep an open file or directory from being changed.
func unlockFile(fd int) error {
	now, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil || now&lockingFlags == 0 {
		return nil // it has none, or none that can be seen: what follows says whether it can be changed
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(now&^lockingFlags))
}

// unlock is unlockFile for a file or directory at a place.
func (p place) unlock() error {
	var st unix.Statx_t
	if err := p.stat(&st); err != nil {
		return err
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return unix.EPERM
	}
	if isDir(&st) {
		fd, err := p.openDir()
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unlockFile(fd)
	}
	f, err := p.file(unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	return unlockFile(int(f.Fd()))
}
