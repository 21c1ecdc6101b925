package torture

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

const (
	accessACL      = "system.posix_acl_access"
	defaultACL     = "system.posix_acl_default"
	capabilityName = "security.capability"
)

// aclOf is an access list, as the kernel has it in an attribute, that gives one more user these
// permissions.
func aclOf(user uint32, permissions uint16) []byte {
	const version, none = 2, ^uint32(0)
	b := binary.LittleEndian.AppendUint32(nil, version)
	for _, e := range []struct {
		tag, permissions uint16
		id               uint32
	}{
		{0x01, 7, none},           // the owner, who must be able to read
		{0x02, permissions, user}, // a user by name
		{0x04, 4, none},           // the group
		{0x08, permissions, user}, // a group by name
		{0x10, 7, none},           // the mask
		{0x20, 0, none},           // everybody else
	} {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.permissions)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// capability is the attribute of a file that is run with these capabilities.
func capability(permitted uint32) []byte {
	const version2, effective = 0x02000000, 1
	b := binary.LittleEndian.AppendUint32(nil, version2|effective)
	for _, word := range []uint32{permitted, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	return b
}

// flagsOf returns the flags of chattr, of files and directories; others have none.
func flagsOf(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	return flags & allFlags, err
}

// setFlags makes the flags that a volume may have these.
func setFlags(path string, flags int) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	others, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, others&^allFlags|flags)
}

// setTime sets the time of last change, of the name itself and not of what it links to.
func setTime(path string, t unix.Timespec) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}
