package btrfs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of this file are those of linux/btrfs.h. They take a millisecond where a process for
// the same takes several, and clients wait for some of them.

// volArgs is struct btrfs_ioctl_vol_args.
type volArgs struct {
	fd   int64
	name [4088]byte
}

// volArgs2 is struct btrfs_ioctl_vol_args_v2.
type volArgs2 struct {
	fd      int64
	transid uint64
	flags   uint64
	unused  [4]uint64
	name    [4040]byte
}

type timespec struct {
	sec  uint64
	nsec uint32
}

// subvolumeInfo is struct btrfs_ioctl_get_subvol_info_args.
type subvolumeInfo struct {
	TreeID                                 uint64
	Name                                   [256]byte
	ParentID, DirID, Generation, Flags     uint64
	UUID, ParentUUID, ReceivedUUID         [16]byte
	Ctransid, Otransid, Stransid, Rtransid uint64
	Ctime, Otime, Stime, Rtime             timespec
	reserved                               [8]uint64
}

const (
	directionWrite = 1
	directionRead  = 2

	numberDestroy  = 15
	numberSearch   = 17
	numberSnapshot = 23
	numberCreate   = 24
	numberFlags    = 26
	numberReceived = 37
	numberSend     = 38
	numberInfo     = 60
	numberNested   = 61
	numberLookup   = 62

	flagReadOnly = 1 << 1
	rootIsRead   = 1 << 0 // in the flags of subvolumeInfo
)

func ioctl(dir *os.File, direction, number, size uintptr, args unsafe.Pointer) error {
	for {
		if err := call(dir, direction, number, size, args); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// call is ioctl for a call that cannot be made again when a signal has ended it.
func call(dir *os.File, direction, number, size uintptr, args unsafe.Pointer) error {
	const magic = 0x94
	request := direction<<30 | size<<16 | magic<<8 | number
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), request, uintptr(args)); errno != 0 {
		return errno
	}
	return nil
}

// inParent calls f with the directory that holds path, and the last part of path.
func inParent(verb, path string, f func(dir *os.File, name string) error) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := f(dir, filepath.Base(path)); err != nil {
		return fmt.Errorf("%s %s: %w", verb, path, err)
	}
	return nil
}

// createSubvolume makes an empty one.
func createSubvolume(path string) error {
	return inParent("make subvolume", path, func(dir *os.File, name string) error {
		var args volArgs2
		copy(args.name[:len(args.name)-1], name)
		return ioctl(dir, directionWrite, numberCreate, unsafe.Sizeof(args), unsafe.Pointer(&args))
	})
}

// snapshotSubvolume makes path a snapshot of source, which the kernel writes out first.
func snapshotSubvolume(source, path string, readOnly bool) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	return inParent("make snapshot", path, func(dir *os.File, name string) error {
		args := volArgs2{fd: int64(from.Fd())}
		if readOnly {
			args.flags = flagReadOnly
		}
		copy(args.name[:len(args.name)-1], name)
		return ioctl(dir, directionWrite, numberSnapshot, unsafe.Sizeof(args), unsafe.Pointer(&args))
	})
}

// exchange makes two subvolumes of one directory change places, at once.
func exchange(one, two string) error {
	err := unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, two, unix.RENAME_EXCHANGE)
	if err != nil {
		return fmt.Errorf("exchange %s and %s: %w", one, two, err)
	}
	return nil
}

// deleteSubvolume deletes one that may not exist, also one whose root is immutable. Its space becomes
// free later.
func deleteSubvolume(path string) error {
	destroy := func(dir *os.File, name string) error {
		var args volArgs
		copy(args.name[:len(args.name)-1], name)
		return ioctl(dir, directionWrite, numberDestroy, unsafe.Sizeof(args), unsafe.Pointer(&args))
	}
	err := inParent("delete subvolume", path, destroy)
	if errors.Is(err, unix.EPERM) && unlockSubvolume(path) {
		err = inParent("delete subvolume", path, destroy)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// unlockSubvolume takes from the root of a subvolume, read-only or not, the flags that keep it from being
// deleted or renamed, and reports whether there were any.
func unlockSubvolume(path string) bool {
	if !isSubvolume(path) {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var writable uint64
	return locked(f) && ioctl(f, directionWrite, numberFlags, unsafe.Sizeof(writable), unsafe.Pointer(&writable)) == nil && unprotect(unix.AT_FDCWD, path)
}

// infoOf returns what the kernel knows of a subvolume.
func infoOf(path string) (subvolumeInfo, error) {
	var info subvolumeInfo
	f, err := os.Open(path)
	if err != nil {
		return info, err
	}
	defer f.Close()
	if err := ioctl(f, directionRead, numberInfo, unsafe.Sizeof(info), unsafe.Pointer(&info)); err != nil {
		return info, fmt.Errorf("look at subvolume %s: %w", path, err)
	}
	return info, nil
}

// readOnly reports whether nobody can write to it.
func (i subvolumeInfo) readOnly() bool { return i.Flags&rootIsRead != 0 }

// lineage identifies the content of a read-only subvolume on every file system that has received
// it: the UUID of the one that was first, by which `btrfs receive` finds a parent. The generation
// that goes with it in a stream is that of the sender, and not the same on every way.
func (i subvolumeInfo) lineage() string {
	if i.ReceivedUUID != [16]byte{} {
		return hex.EncodeToString(i.ReceivedUUID[:])
	}
	return hex.EncodeToString(i.UUID[:])
}

// receivedArgs is struct btrfs_ioctl_received_subvol_args.
type receivedArgs struct {
	uuid               [16]byte
	stransid, rtransid uint64
	stime, rtime       timespec
	flags              uint64
	reserved           [16]uint64
}

// seal notes of what lineage a subvolume is, if it is not its own, and makes it read-only.
func seal(subvolume *os.File, lineage [16]byte, transid uint64) error {
	if lineage != [16]byte{} {
		args := receivedArgs{uuid: lineage, stransid: transid}
		if err := ioctl(subvolume, directionRead|directionWrite, numberReceived, unsafe.Sizeof(args), unsafe.Pointer(&args)); err != nil {
			return fmt.Errorf("note the lineage of subvolume %s: %w", subvolume.Name(), err)
		}
	}
	flags := uint64(flagReadOnly)
	if err := ioctl(subvolume, directionWrite, numberFlags, unsafe.Sizeof(flags), unsafe.Pointer(&flags)); err != nil {
		return fmt.Errorf("make subvolume %s read-only: %w", subvolume.Name(), err)
	}
	return nil
}

// isSubvolume reports whether path is the root of a subvolume: of those, and only of those, the
// inode has this number.
func isSubvolume(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && st.Ino == 256
}

// onBtrfs reports whether path lies on a btrfs file system.
func onBtrfs(path string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return st.Type == unix.BTRFS_SUPER_MAGIC, nil
}

// syncFileSystem writes out everything of the file system that path is on.
func syncFileSystem(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
