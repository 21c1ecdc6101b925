package torture

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Can is what a file system holds for whoever asks. A trial makes only what all of its nodes can
// hold: what one of them cannot is a matter of docs/volumes.md and its tests.
type Can struct {
	// Root: files of any owner, devices, attributes of the system.
	Root bool
	// User, Trusted, ACL and Capabilities are kinds of extended attributes; LinkTrusted are those
	// that a symbolic link has.
	User, Trusted, LinkTrusted, ACL, Capabilities bool
	// AttributeBytes is how large an attribute may be.
	AttributeBytes int
	// LinkBytes is how long the target of a symbolic link may be.
	LinkBytes int
	// Flags are those of chattr.
	Flags int
	// First and Last bound times, in seconds since 1970.
	First, Last int64
}

// The flags of chattr that a volume may have.
const (
	flagImmutable = 0x10
	flagAppend    = 0x20
	flagNodump    = 0x40
	allFlags      = flagImmutable | flagAppend | flagNodump
)

// The first and the last time that ext4 holds; others hold more.
const (
	firstTime = -1 << 31
	lastTime  = 1<<34 - 1<<31 - 1
)

// Both is what two places can hold.
func (c Can) Both(o Can) Can {
	return Can{
		Root: c.Root && o.Root, User: c.User && o.User, Trusted: c.Trusted && o.Trusted, LinkTrusted: c.LinkTrusted && o.LinkTrusted,
		ACL: c.ACL && o.ACL, Capabilities: c.Capabilities && o.Capabilities,
		AttributeBytes: min(c.AttributeBytes, o.AttributeBytes), LinkBytes: min(c.LinkBytes, o.LinkBytes), Flags: c.Flags & o.Flags,
		First: max(c.First, o.First), Last: min(c.Last, o.Last),
	}
}

// Probe finds out by trying, in a directory that it leaves as it was.
func Probe(dir string) (c Can, err error) {
	scratch, err := os.MkdirTemp(dir, "probe-")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	file, link := filepath.Join(scratch, "file"), filepath.Join(scratch, "link")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink("file", link)); err != nil {
		return c, err
	}
	c.Root = os.Getuid() == 0
	takes := func(path, name string, value []byte) bool { return unix.Lsetxattr(path, name, value, 0) == nil }
	c.User = takes(file, "user.probe", []byte("x"))
	c.Trusted, c.LinkTrusted = takes(file, "trusted.probe", []byte("x")), takes(link, "trusted.probe", []byte("x"))
	c.ACL = takes(file, accessACL, aclOf(1000, 7))
	c.Capabilities = takes(file, capabilityName, capability(1))
	for _, size := range []int{60_000, 14_000, 3_000, 500} {
		if takes(file, "user.probe", make([]byte, size)) {
			c.AttributeBytes = size
			break
		}
	}
	for _, size := range []int{unix.PathMax - 1, 4000, 1023, 255} {
		if os.Symlink(strings.Repeat("x", size), link+"-2") == nil {
			c.LinkBytes = size
			break
		}
	}
	for _, flag := range []int{flagNodump, flagAppend, flagImmutable} {
		if setFlags(file, flag) == nil && setFlags(file, 0) == nil {
			c.Flags |= flag
		}
	}
	if c.First, err = keptTime(file, firstTime); err == nil {
		c.Last, err = keptTime(file, lastTime)
	}
	return c, err
}

// keptTime returns what becomes of a time.
func keptTime(path string, seconds int64) (int64, error) {
	if err := setTime(path, unix.Timespec{Sec: seconds}); err != nil {
		return 0, err
	}
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return st.Mtim.Sec, err
}
