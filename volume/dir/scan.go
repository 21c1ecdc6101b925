package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// scan lists everything below root, without content. The file system is synced first: a page
// that is mapped into a program and already dirty takes writes without a new time stamp on its
// file; once it is written back, the next write stamps the file again. So whatever is written
// from now on shows in a stamp that is not older than the manifest's.
func scan(ctx context.Context, root string) (*manifest, error) {
	if err := syncFileSystem(root); err != nil {
		return nil, fmt.Errorf("sync %s: %w", root, err)
	}
	m := &manifest{Scanned: time.Now().UnixNano()}
	names := map[uint64]string{} // of files with several, the first
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while we walk; the next scan sees that too
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, links, err := look(root, path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errSkip) {
			return nil
		}
		if err != nil {
			return err
		}
		if links > 1 && e.Kind == kindFile {
			if first, again := names[e.Seen.Ino]; again {
				e = entry{Path: e.Path, Kind: kindHardlink, Target: first}
			} else {
				names[e.Seen.Ino] = e.Path
			}
		}
		m.Entries = append(m.Entries, e)
		return nil
	})
	return m, err
}

// errSkip: a socket means something only to the process that made it.
var errSkip = errors.New("not part of a volume")

// look reads all about one name but the content. The root itself has the path ".".
func look(root, path string) (e entry, links uint64, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return e, 0, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return e, 0, err
	}
	e = entry{Path: relative, Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), MTime: st.Mtim.Nano(),
		Seen: inode{Ino: st.Ino, CTime: st.Ctim.Nano()}}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Kind, e.Size = kindFile, st.Size
	case unix.S_IFDIR:
		e.Kind = kindDir
	case unix.S_IFLNK:
		e.Kind, e.MTime, e.Mode = kindSymlink, 0, 0
		if e.Target, err = os.Readlink(path); err != nil {
			return e, 0, err
		}
	case unix.S_IFIFO:
		e.Kind = kindFIFO
	case unix.S_IFSOCK:
		return e, 0, errSkip
	default:
		return e, 0, fmt.Errorf("%s is a device: a volume of backend dir can hold files, directories, links and FIFOs", path)
	}
	if e.Kind == kindFile || e.Kind == kindDir {
		e.Xattrs, err = xattrsOf(path)
	}
	return e, uint64(st.Nlink), err
}

// xattrsOf asks for the list by name first: nearly no file has any, and need not be opened.
func xattrsOf(path string) (map[string][]byte, error) {
	if size, err := unix.Llistxattr(path, nil); size <= 0 || err != nil {
		return nil, ignoreUnsupported(err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readXattrs(f)
}

// readXattrs returns the extended attributes that this user can set again elsewhere.
func readXattrs(f *os.File) (map[string][]byte, error) {
	fd := int(f.Fd())
	size, err := unix.Flistxattr(fd, nil)
	if size <= 0 || err != nil {
		return nil, ignoreUnsupported(err)
	}
	list := make([]byte, size)
	if size, err = unix.Flistxattr(fd, list); err != nil {
		return nil, ignoreUnsupported(err)
	}
	attributes := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:size]), "\x00"), "\x00") {
		if !strings.HasPrefix(name, "user.") && os.Getuid() != 0 {
			continue
		}
		value := make([]byte, 64<<10) // the most that the kernel allows
		n, err := unix.Fgetxattr(fd, name, value)
		if err != nil {
			return nil, &os.PathError{Op: "getxattr " + name, Path: f.Name(), Err: err}
		}
		attributes[name] = value[:n]
	}
	return attributes, nil
}

func ignoreUnsupported(err error) error {
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}

// syncFileSystem writes back all that is dirty on the file system that holds path.
func syncFileSystem(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
