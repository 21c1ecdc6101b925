package files

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// entryOf is what a stat tells of an entry: all but its target and its attributes.
func entryOf(path string, st *unix.Statx_t) entry {
	e := entry{path: path, mode: uint32(st.Mode) & 0o7777, uid: st.Uid, gid: st.Gid,
		mtime: moment{st.Mtime.Sec, st.Mtime.Nsec}, seen: seenOf(st), ino: st.Ino}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.kind, e.size, e.flags = kindFile, int64(st.Size), flagsOf(st)
	case unix.S_IFDIR:
		e.kind, e.flags = kindDir, flagsOf(st)
	case unix.S_IFLNK:
		e.kind, e.mode = kindSymlink, 0
	case unix.S_IFIFO:
		e.kind = kindFIFO
	case unix.S_IFSOCK:
		e.kind = kindSocket
	case unix.S_IFCHR:
		e.kind, e.device = kindChar, unix.Mkdev(st.Rdev_major, st.Rdev_minor)
	case unix.S_IFBLK:
		e.kind, e.device = kindBlock, unix.Mkdev(st.Rdev_major, st.Rdev_minor)
	}
	return e
}

// complete adds what a stat does not tell.
func (e *entry) complete(p place) (err error) {
	if e.kind == kindSymlink {
		if e.target, err = p.readlink(); err != nil {
			return err
		}
	}
	if (e.kind == kindChar || e.kind == kindBlock) && os.Getuid() != 0 {
		return fmt.Errorf("%w: it is a device, and only root can make one", cluster.ErrUnsupported)
	}
	if e.xattrs, err = readAttributes(holder{p.proc(), false}); err != nil {
		return err
	}
	// What was read by name is of this inode only if the name still is.
	var st unix.Statx_t
	if err := p.stat(&st); err != nil {
		return err
	}
	if now := entryOf(e.path, &st); now.ino != e.ino || now.kind != e.kind {
		return errGone
	}
	for _, a := range only(e.xattrs, isAccessList) {
		e.mode = modeOf(a.value, e.mode)
	}
	return nil
}

// modeOf returns the mode of a file that has an access list. The list says it once more, but for the
// special bits, and the kernel keeps the two in step. As they were looked at one after the other they
// may be of two instants: then no file could be given both.
func modeOf(list []byte, mode uint32) uint32 {
	const version, size, owner, group, mask, other = 4, 8, 0x01, 0x04, 0x10, 0x20
	permissions := map[uint16]uint32{}
	for i := version; i+size <= len(list); i += size {
		permissions[binary.LittleEndian.Uint16(list[i:])] = uint32(binary.LittleEndian.Uint16(list[i+2:])) & 7
	}
	middle, masked := permissions[mask]
	if !masked {
		middle = permissions[group]
	}
	return mode&^0o777 | permissions[owner]<<6 | middle<<3 | permissions[other]
}

func (p place) readlink() (string, error) {
	buffer := make([]byte, unix.PathMax+1)
	n, err := unix.Readlinkat(p.dir, p.name, buffer)
	if errors.Is(err, unix.EINVAL) {
		err = errGone // no link any more
	}
	return string(buffer[:max(n, 0)]), err
}

const (
	capability = "security.capability"
	accessList = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// carried reports whether an attribute is part of a volume. The rest belongs to a host, such as the
// labels of its security modules, or to a kind of file system.
func carried(name string) bool {
	switch name {
	case capability, accessList, defaultACL:
		return true
	case "trusted.SGI_ACL_FILE", "trusted.SGI_ACL_DEFAULT":
		return false // XFS tells of its access lists twice
	}
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.")
}

// A holder is what has attributes: where a path leads to, or the link that it may be.
type holder struct {
	path   string
	follow bool
}

func (h holder) list() (names []string, err error) {
	list := unix.Llistxattr
	if h.follow {
		list = unix.Listxattr
	}
	// Nobody is asked for the length first, since there may be one name more when the names are asked for.
	const few, most = 1 << 10, 64 << 10
	b, n := make([]byte, few), 0
	for {
		n, err = list(h.path, b)
		if errors.Is(err, unix.ERANGE) && len(b) < most {
			b = make([]byte, most)
		} else if !errors.Is(err, unix.EINTR) { // which FUSE may return
			break
		}
	}
	if err != nil {
		return nil, &os.PathError{Op: "listxattr", Path: h.path, Err: err}
	}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(b[:n], []byte{0}), []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names, nil
}

func (h holder) get(name string) ([]byte, error) {
	if h.follow {
		return xattr.Get(h.path, name)
	}
	return xattr.LGet(h.path, name)
}

func (h holder) set(a attribute) error {
	if h.follow {
		return xattr.Set(h.path, a.name, a.value)
	}
	return xattr.LSet(h.path, a.name, a.value)
}

func (h holder) remove(name string) error {
	if h.follow {
		return xattr.Remove(h.path, name)
	}
	return xattr.LRemove(h.path, name)
}

// readAttributes returns the attributes that are carried, sorted by name.
func readAttributes(h holder) ([]attribute, error) {
	all, err := h.list()
	if err != nil {
		return nil, ignoreUnsupported(err)
	}
	var found []attribute
	size := 0
	for _, name := range all {
		if !carried(name) {
			continue
		}
		if name == capability && os.Getuid() != 0 {
			return nil, fmt.Errorf("%w: it has capabilities, which only root can carry", cluster.ErrUnsupported)
		}
		value, err := h.get(name)
		if errors.Is(err, xattr.ENOATTR) {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		if size += len(name) + len(value); size > maxAttributes {
			return nil, fmt.Errorf("%w: it has attributes of more than %d bytes", cluster.ErrUnsupported, maxAttributes)
		}
		found = append(found, attribute{name, value})
	}
	slices.SortFunc(found, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

// setAttributes makes the attributes those of the entry. Fresh: there are none yet.
func setAttributes(h holder, e *entry, fresh bool) error {
	if fresh && len(e.xattrs) == 0 {
		return nil
	}
	there, err := readAttributes(h)
	if err != nil || sameAttributes(there, e.xattrs) {
		return err
	}
	for _, a := range there {
		if !e.has(a.name) {
			if err := h.remove(a.name); err != nil {
				return err
			}
		}
	}
	// The access list comes last: it may keep the owner from setting the others.
	for _, a := range append(slices.DeleteFunc(slices.Clone(e.xattrs), isAccessList), only(e.xattrs, isAccessList)...) {
		if err := h.set(a); err != nil {
			return explainAttribute(a.name, err)
		}
	}
	return nil
}

func isAccessList(a attribute) bool { return a.name == accessList }

func only(all []attribute, is func(attribute) bool) []attribute {
	return slices.DeleteFunc(slices.Clone(all), func(a attribute) bool { return !is(a) })
}

// explainAttribute says what it means that an attribute cannot be set.
func explainAttribute(name string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.E2BIG), errors.Is(err, unix.ERANGE):
		return fmt.Errorf("%w: the file system here has no room for its attribute %s", cluster.ErrUnsupported, name)
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: attribute %s cannot be set here: %w", cluster.ErrUnsupported, name, err)
	}
	return err
}
