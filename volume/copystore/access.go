package copystore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"

	"github.com/drover/drover/cluster"
	"golang.org/x/sys/unix"
)

// Files in a volume have the owners and modes that its application gives them, a program that runs
// as root for whoever starts it too. So nobody passes through the directory of a copy but root, and
// where applications are processes of this host the user that owns the data.

const aclName = "system.posix_acl_access"

// admit lets pass who has to, and nobody else.
func (c *Copy) admit() error {
	uid, gid := c.passer()
	if uid == 0 {
		if info, err := os.Lstat(c.Dir); err != nil || info.Mode().Perm() == 0o700 {
			return err // the bits of the group are the most that an access list gives
		}
		err := unix.Lremovexattr(c.Dir, aclName)
		if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP) {
			return &os.PathError{Op: "remove the access list of", Path: c.Dir, Err: err}
		}
		return chmod(c.Dir, 0o700)
	}
	acl := passACL(uint32(uid))
	have := make([]byte, 2*len(acl))
	if n, err := unix.Lgetxattr(c.Dir, aclName, have); err == nil && bytes.Equal(have[:n], acl) {
		return nil
	}
	err := unix.Lsetxattr(c.Dir, aclName, acl, 0)
	if errors.Is(err, unix.EOPNOTSUPP) {
		// A file system without access lists: the user's group passes.
		return errors.Join(os.Lchown(c.Dir, 0, gid), chmod(c.Dir, 0o710))
	}
	if err != nil {
		return &os.PathError{Op: "set the access list of", Path: c.Dir, Err: err}
	}
	return nil
}

// passer is the user who has to pass to the data, if that is another one than this process.
func (c *Copy) passer() (uid, gid int) {
	var st unix.Stat_t
	// Nobody runs on a replica, and what is done to one while it is written to from outside is done by root.
	if c.root.o.Private || os.Geteuid() != 0 || c.Record().Role != cluster.Primary || unix.Lstat(c.Data(), &st) != nil {
		return 0, 0
	}
	return int(st.Uid), int(st.Gid)
}

func chmod(dir string, mode os.FileMode) error {
	info, err := os.Lstat(dir)
	if err != nil || info.Mode().Perm() == mode {
		return err
	}
	return os.Chmod(dir, mode)
}

// passACL is an access list, as the kernel takes it: the owner may do everything, the user may pass.
func passACL(uid uint32) []byte {
	const (
		version                                = 2
		ownerTag, userTag, group, mask, others = 0x01, 0x02, 0x04, 0x10, 0x20
		nobody                                 = ^uint32(0)
	)
	type entry struct {
		Tag, Perm uint16
		ID        uint32
	}
	acl := binary.LittleEndian.AppendUint32(nil, version)
	for _, e := range []entry{{ownerTag, 7, nobody}, {userTag, 1, uid}, {group, 0, nobody}, {mask, 1, nobody}, {others, 0, nobody}} {
		acl = binary.LittleEndian.AppendUint16(acl, e.Tag)
		acl = binary.LittleEndian.AppendUint16(acl, e.Perm)
		acl = binary.LittleEndian.AppendUint32(acl, e.ID)
	}
	return acl
}
