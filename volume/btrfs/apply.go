package btrfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

// An applier makes of the kernel's stream what `btrfs receive` would make of it, with three differences.
// What the stream builds on is the snapshot that it is given, and not whatever the file system knows
// by the same UUID. Nothing that a stream says can reach out of the subvolume that it fills: a path is
// taken apart, no link is followed, and only regular files are opened. And the root has its time from
// the source: all that is new is made in the root first, and the stream does not set its time after that.
type applier struct {
	root *os.File // of the subvolume that is made
	base *os.File // of the snapshot that it builds on; nil: there is none
	// own and parent are what the stream calls the two.
	own, parent [16]byte
	// times are those that the root is to have in the end.
	times []unix.Timespec

	dir  place // where the last command had its name
	file place // what the last command wrote to
	dirt int64 // how much of it the kernel has not begun to write out
}

// A place is something that is open, by its path.
type place struct {
	path string
	file *os.File
}

func (p *place) close() {
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
}

func (a *applier) close() {
	a.file.close()
	a.dir.close()
	a.root.Close()
	if a.base != nil {
		a.base.Close()
	}
}

// run applies a stream from its second command on to its end.
func (a *applier) run(ctx context.Context, stream *commands) error {
	for ctx.Err() == nil {
		c, err := stream.next()
		if err != nil {
			return err
		}
		if c.kind == commandEnd {
			// The transfer's own check comes behind it.
			_, err := io.Copy(io.Discard, stream.r)
			return errors.Join(err, a.leave())
		}
		err = a.apply(c)
		if errors.Is(err, unix.EPERM) && a.unprotect(c) {
			err = a.apply(c)
		}
		if err != nil {
			return fmt.Errorf("apply command %d of %q: %w", c.kind, c.attributes[attributePath], err)
		}
	}
	return context.Cause(ctx)
}

// rootTimes are those of the root as it is now.
func (a *applier) rootTimes() ([]unix.Timespec, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(a.root.Fd()), &st)
	return []unix.Timespec{st.Atim, st.Mtim}, err
}

// leave gives the root its time, now that nothing will be made in it any more.
func (a *applier) leave() error {
	now, err := a.rootTimes()
	if err != nil || now[1] == a.times[1] {
		return err
	}
	return unix.UtimesNanoAt(int(a.root.Fd()), ".", a.times, 0)
}

func (a *applier) apply(c *command) error {
	if c.kind != commandWrite {
		a.file.close()
	}
	switch c.kind {
	case commandMakeFile, commandMakeDir, commandMakeNode, commandMakeFIFO, commandMakeSocket, commandSymlink:
		return a.create(c)
	case commandRename, commandLink:
		return a.rename(c)
	case commandUnlink, commandRemoveDir:
		return a.remove(c)
	case commandSetXattr, commandRemoveXattr:
		return a.attribute(c)
	case commandMode, commandOwner, commandTimes:
		return a.describe(c)
	case commandWrite:
		return a.write(c)
	case commandTruncate:
		return a.truncate(c)
	case commandClone:
		return a.clone(c)
	default:
		return fmt.Errorf("%w: a stream with a command of this kind", cluster.ErrUnsupported)
	}
}

func (a *applier) create(c *command) error {
	var mode, device uint64
	var target string
	switch c.kind {
	case commandMakeNode:
		mode, device = c.number(attributeMode)&unix.S_IFMT, c.number(attributeDevice)
	case commandMakeFIFO:
		mode = unix.S_IFIFO
	case commandMakeSocket:
		mode = unix.S_IFSOCK
	case commandMakeFile:
		mode = unix.S_IFREG
	case commandSymlink:
		target = c.text(attributePathLink)
	}
	dir, name, err := a.at(c, c.name(attributePath))
	switch {
	case err != nil:
		return err
	case c.kind == commandSymlink:
		return unix.Symlinkat(target, dir, name)
	case c.kind == commandMakeDir:
		err = unix.Mkdirat(dir, name, 0o700)
	default:
		err = unix.Mknodat(dir, name, uint32(mode)|0o600, int(uint32(device)))
	}
	if err != nil {
		return err
	}
	return disinherit(dir, name)
}

// disinherit takes from what has just been made the access lists that it has from its directory: the
// stream makes new things in the root, whatever its own list is, and only what they shall have is in it.
func disinherit(dir int, name string) error {
	parent := "/proc/self/fd/" + strconv.Itoa(dir)
	if _, err := unix.Getxattr(parent, "system.posix_acl_default", nil); err != nil {
		return nil // the usual case
	}
	for _, list := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		err := unix.Lremovexattr(parent+"/"+name, list)
		if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EACCES) {
			return err
		}
	}
	return nil
}

// unprotect takes away the flags that keep what a command names, and the directories around it, from
// being changed. The source had none when it was changed there: what keeps its flags is not shipped so.
func (a *applier) unprotect(c *command) (some bool) {
	for _, attribute := range []int{attributePath, attributePathTo, attributePathLink} {
		path := string(c.attributes[attribute])
		if c.attributes[attribute] == nil || path != "" && !filepath.IsLocal(path) {
			continue
		}
		dir, err := beneath(a.root, filepath.Dir(path))
		if err != nil {
			continue
		}
		some = unprotect(int(dir.Fd()), ".") || some
		some = unprotect(int(dir.Fd()), filepath.Base(path)) || some
		dir.Close()
	}
	return some
}

// rename gives a name to what has another one, instead of that or beside it.
func (a *applier) rename(c *command) error {
	from, to := c.name(attributePath), ""
	if c.kind == commandRename {
		to = c.name(attributePathTo)
	} else {
		from, to = c.name(attributePathLink), from
	}
	// Two directories are needed at once: one is opened for this.
	dir, name, err := a.at(c, from)
	if err != nil {
		return err
	}
	target, err := beneath(a.root, filepath.Dir(to))
	if err != nil {
		return err
	}
	defer target.Close()
	if c.kind == commandLink {
		return unix.Linkat(dir, name, int(target.Fd()), filepath.Base(to), 0)
	}
	err = unix.Renameat(dir, name, int(target.Fd()), filepath.Base(to))
	a.dir.close() // its path may be another's now
	return err
}

func (a *applier) remove(c *command) error {
	dir, name, err := a.at(c, c.name(attributePath))
	switch {
	case err != nil:
		return err
	case c.kind == commandUnlink:
		return unix.Unlinkat(dir, name, 0)
	}
	err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	a.dir.close()
	return err
}

func (a *applier) attribute(c *command) error {
	attribute := c.text(attributeXattrName)
	dir, name, err := a.at(c, c.path(attributePath))
	if err != nil {
		return err
	}
	// No call takes a directory and a name.
	path := "/proc/self/fd/" + strconv.Itoa(dir) + "/" + name
	if c.kind == commandRemoveXattr {
		return unix.Lremovexattr(path, attribute)
	}
	return unix.Lsetxattr(path, attribute, c.attributes[attributeXattrData], 0)
}

func (a *applier) describe(c *command) error {
	var mode uint64
	var uid, gid int
	var times []unix.Timespec
	switch c.kind {
	case commandMode:
		mode = c.number(attributeMode)
	case commandOwner:
		uid, gid = c.id(attributeUID), c.id(attributeGID)
	case commandTimes:
		times = []unix.Timespec{c.time(attributeAccessed), c.time(attributeModified)}
	}
	dir, name, err := a.at(c, c.path(attributePath))
	switch {
	case err != nil:
		return err
	case c.kind == commandOwner:
		return unix.Fchownat(dir, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	case c.kind == commandTimes && name == ".":
		a.times = times // see leave
		return nil
	case c.kind == commandTimes:
		return unix.UtimesNanoAt(dir, name, times, unix.AT_SYMLINK_NOFOLLOW)
	}
	switch kind, err := kindOf(dir, name); {
	case err != nil:
		return err
	case kind == unix.S_IFLNK:
		return fmt.Errorf("%w: a symbolic link has no mode", cluster.ErrInvalid)
	}
	return unix.Fchmodat(dir, name, uint32(mode)&0o7777, 0)
}

// writeOut is after how much dirt the kernel is told to begin to write it out. What waits for the
// end is waited for there, and clients with it.
const writeOut = 8 << 20

func (a *applier) write(c *command) error {
	offset, data := c.offset(attributeOffset), c.attributes[attributeData]
	f, err := a.open(c, c.name(attributePath))
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(data, offset); err != nil {
		return err
	}
	if a.dirt += int64(len(data)); a.dirt < writeOut {
		return nil
	}
	a.dirt = 0
	return unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

func (a *applier) truncate(c *command) error {
	size := c.offset(attributeSize)
	f, err := a.open(c, c.name(attributePath))
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

// clone shares a part of another file, of the same subvolume or of the one that it builds on.
func (a *applier) clone(c *command) error {
	from := a.root
	switch id := c.uuid(attributeCloneUUID); {
	case id == a.own:
	case a.base != nil && id == a.parent:
		from = a.base
	default:
		return fmt.Errorf("%w: it shares data with a subvolume that was not agreed upon", cluster.ErrInvalid)
	}
	part := unix.FileCloneRange{Src_offset: uint64(c.offset(attributeCloneOffset)),
		Src_length: uint64(c.offset(attributeCloneLength)), Dest_offset: uint64(c.offset(attributeOffset))}
	path := c.name(attributeClonePath)
	to, err := a.open(c, c.name(attributePath))
	if err != nil {
		return err
	}
	dir, err := beneath(from, filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	source, err := regular(int(dir.Fd()), filepath.Base(path), os.O_RDONLY)
	if err != nil {
		return err
	}
	defer source.Close()
	part.Src_fd = int64(source.Fd())
	return unix.IoctlFileCloneRange(int(to.Fd()), &part)
}

// at returns the directory that a path lies in, good until the next command, and its name there.
func (a *applier) at(c *command, path string) (dir int, name string, err error) {
	if c.err != nil {
		return 0, "", c.err
	}
	parent := filepath.Dir(path)
	if parent == "." {
		return int(a.root.Fd()), filepath.Base(path), nil // "." for the root itself
	}
	if a.dir.file == nil || a.dir.path != parent {
		a.dir.close()
		f, err := beneath(a.root, parent)
		if err != nil {
			return 0, "", err
		}
		a.dir = place{parent, f}
	}
	return int(a.dir.file.Fd()), filepath.Base(path), nil
}

// open opens a file for writing, good until the next command that is no write.
func (a *applier) open(c *command, path string) (*os.File, error) {
	if c.err != nil {
		return nil, c.err
	}
	if a.file.file != nil && a.file.path == path {
		return a.file.file, nil
	}
	a.file.close()
	dir, name, err := a.at(c, path)
	if err != nil {
		return nil, err
	}
	f, err := regular(dir, name, os.O_WRONLY)
	if err != nil {
		return nil, err
	}
	a.file = place{path, f}
	return f, nil
}

// beneath opens a directory below another one, without any link on the way.
func beneath(root *os.File, path string) (*os.File, error) {
	fd, err := unix.Openat2(int(root.Fd()), path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// regular opens a file that is nothing else: no device, no FIFO and no link.
func regular(dir int, name string, flags int) (*os.File, error) {
	kind, err := kindOf(dir, name)
	if err != nil {
		return nil, err
	}
	if kind != unix.S_IFREG {
		return nil, fmt.Errorf("%w: it is no regular file", cluster.ErrInvalid)
	}
	fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func kindOf(dir int, name string) (uint32, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st.Mode & unix.S_IFMT, err
}
