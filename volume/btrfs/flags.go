package btrfs

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The flags that `chattr` sets are in no stream of the kernel's. Where there are any among what a
// stream would change, the snapshot is shipped file by file instead: the receiver sees by its first
// bytes what a stream is.

// searchArgs is struct btrfs_ioctl_search_args: a range of keys, and the first item in it.
type searchArgs struct {
	tree                       uint64
	minObject, maxObject       uint64
	minOffset, maxOffset       uint64
	minTransid, maxTransid     uint64
	minType, maxType, count, _ uint32
	_                          [4]uint64
	transid, object, offset    uint64 // of what was found, from here on
	kind, length               uint32
	item                       [3992 - 32]byte
}

const (
	inodeItem       = 1
	inodeItemLength = 160
	// protected are the bits of an inode for immutable, append-only and nodump.
	protected = 1<<6 | 1<<7 | 1<<8
	// immutable and appendOnly are those of linux/fs.h, which unprotect asks for.
	immutable, appendOnly = 0x10, 0x20
)

// inodeAfter returns the flags of the first inode with that number or a higher one that was changed
// since a transaction. Zero is: there is none.
func inodeAfter(subvolume *os.File, number, transid uint64) (found, changed, flags uint64, err error) {
	for number < math.MaxUint64 {
		args := searchArgs{minObject: number, maxObject: math.MaxUint64, maxOffset: math.MaxUint64, minTransid: transid,
			maxTransid: math.MaxUint64, minType: inodeItem, maxType: inodeItem, count: 1}
		err := ioctl(subvolume, directionRead|directionWrite, numberSearch, unsafe.Sizeof(args), unsafe.Pointer(&args))
		if err != nil || args.count == 0 {
			return 0, 0, 0, err
		}
		if args.kind == inodeItem && args.length >= inodeItemLength {
			return args.object, binary.LittleEndian.Uint64(args.item[8:]), binary.LittleEndian.Uint64(args.item[64:]), nil
		}
		number = args.object + 1 // of this one only something else is where there are changes
	}
	return 0, 0, 0, nil
}

// hasFlags reports whether a stream from one snapshot to another would have to carry flags.
func hasFlags(snapshot, parent string) (bool, error) {
	to, err := os.Open(snapshot)
	if err != nil {
		return false, err
	}
	defer to.Close()
	var from *os.File
	var since uint64
	if parent != "" {
		info, err := infoOf(parent)
		if err != nil {
			return false, err
		}
		since = info.Otransid
		if from, err = os.Open(parent); err != nil {
			return false, err
		}
		defer from.Close()
	}
	for number := uint64(256); ; number++ {
		found, changed, flags, err := inodeAfter(to, number, since)
		if err != nil {
			return false, fmt.Errorf("look for flags in %s: %w", snapshot, err)
		}
		if found == 0 {
			return false, nil
		}
		if number = found; changed < since {
			continue
		}
		if from != nil && flags&protected == 0 {
			before, _, had, err := inodeAfter(from, number, 0)
			if err != nil {
				return false, fmt.Errorf("look for flags in %s: %w", parent, err)
			}
			if before == number {
				flags = had
			}
		}
		if flags&protected != 0 {
			return true, nil
		}
	}
}

// unprotect takes the flags from a file or directory that keep it from being changed, and reports
// whether there were any.
func unprotect(dir int, name string) bool {
	kind, err := kindOf(dir, name)
	if err != nil || kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return false // nothing else has any
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil || flags&(immutable|appendOnly) == 0 {
		return false
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags&^(immutable|appendOnly)) == nil
}

// locked reports whether a file or directory has such flags.
func locked(f *os.File) bool {
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	return err == nil && flags&(immutable|appendOnly) != 0
}

// touchedBetween returns a function that reports whether an inode may have been changed between two
// snapshots, whichever is the older. Each part of a write moves the transaction of its inode.
func touchedBetween(one, two string) (func(inode uint64) (bool, error), error) {
	first, err := infoOf(one)
	if err != nil {
		return nil, err
	}
	second, err := infoOf(two)
	if err != nil {
		return nil, err
	}
	newer, older := two, first.Otransid
	if second.Otransid < first.Otransid {
		newer, older = one, second.Otransid
	}
	return func(inode uint64) (bool, error) {
		subvolume, err := os.Open(newer)
		if err != nil {
			return false, err
		}
		defer subvolume.Close()
		found, changed, _, err := inodeAfter(subvolume, inode, 0)
		return found != inode || changed > older, err
	}, nil
}
