package btrfs

import (
	"encoding/binary"
	"math"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the file system counts what its subvolumes take up, which it does once a volume has a limit,
// nobody has to walk over files.

const (
	quotaTree    = 8
	quotaStatus  = 240
	quotaInfo    = 242
	quotaIsOn    = 1 << 0
	quotaStates  = 1<<0 | 1<<1 | 1<<2 // on, being counted anew, known to be wrong
	statusLength = 24
	infoLength   = 16
)

// referenced returns how many bytes a subvolume takes up, if the file system counts them.
func referenced(subvolume string) (n int64, counted bool) {
	f, err := os.Open(subvolume)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var info subvolumeInfo
	if ioctl(f, directionRead, numberInfo, unsafe.Sizeof(info), unsafe.Pointer(&info)) != nil {
		return 0, false
	}
	status, err := quotaItem(f, quotaStatus, 0)
	if err != nil || len(status) < statusLength || binary.LittleEndian.Uint64(status[16:])&quotaStates != quotaIsOn {
		return 0, false
	}
	item, err := quotaItem(f, quotaInfo, info.TreeID)
	if err != nil || len(item) < infoLength {
		return 0, false
	}
	n = int64(binary.LittleEndian.Uint64(item[8:]))
	return n, n >= 0
}

// quotaItem returns an item of the tree in which that is counted.
func quotaItem(f *os.File, kind uint32, offset uint64) ([]byte, error) {
	args := searchArgs{tree: quotaTree, minOffset: offset, maxOffset: offset, maxTransid: math.MaxUint64, minType: kind, maxType: kind, count: 1}
	err := ioctl(f, directionRead|directionWrite, numberSearch, unsafe.Sizeof(args), unsafe.Pointer(&args))
	if err == nil && (args.count == 0 || args.kind != kind || args.offset != offset || args.length > uint32(len(args.item))) {
		err = unix.ENOENT
	}
	if err != nil {
		return nil, err
	}
	return args.item[:args.length], nil
}

// used is what a subvolume of the copy takes up, counted or walked.
func (c *subvolumes) used(subvolume string, changes bool) int64 {
	if n, counted := referenced(subvolume); counted {
		return n
	}
	return c.Used.Get(subvolume, changes)
}
