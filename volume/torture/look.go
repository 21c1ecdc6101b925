package torture

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A View is what a tree held when it was looked at, by name.
type View map[string]Name

// A Name is all that there is to one name.
type Name struct {
	Kind     string
	Mode     uint32
	Owner    [2]uint32
	Device   uint64
	Size     int64
	Sec, Nsc int64
	// Target is where a symbolic link leads.
	Target string
	// Content sums up the bytes of a file that are not zero, with their places.
	Content string
	// First is the first name of what has several.
	First      string
	Attributes map[string]string
	Flags      int
	// data and disk are what the file must take up, and does.
	data, disk int64
}

// Look reads a tree, without going through any path that could be too long.
func Look(path string) (View, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	l := &looker{tree: &Tree{root: root}, view: View{}, first: map[[2]uint64]string{}}
	return l.view, l.look(".")
}

type looker struct {
	tree  *Tree
	view  View
	first map[[2]uint64]string
}

func (l *looker) look(name string) error {
	var is Name
	err := l.tree.on(name, func(path string) (err error) {
		is, err = l.nameAt(name, path)
		return err
	})
	if err != nil {
		return fmt.Errorf("look at %q: %w", short(name), err)
	}
	l.view[name] = is
	if is.Kind != "directory" {
		return nil
	}
	for _, child := range l.tree.list(name) {
		if err := l.look(filepath.Join(name, child)); err != nil {
			return err
		}
	}
	return nil
}

var kinds = map[uint32]string{unix.S_IFREG: "file", unix.S_IFDIR: "directory", unix.S_IFLNK: "symbolic link", unix.S_IFIFO: "FIFO",
	unix.S_IFSOCK: "socket", unix.S_IFCHR: "character device", unix.S_IFBLK: "block device"}

func (l *looker) nameAt(name, path string) (n Name, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return n, err
	}
	n = Name{Kind: kinds[st.Mode&unix.S_IFMT], Mode: st.Mode & 0o7777, Owner: [2]uint32{st.Uid, st.Gid}, Sec: st.Mtim.Sec, Nsc: st.Mtim.Nsec}
	switch n.Kind {
	case "file":
		n.Size, n.disk = st.Size, st.Blocks*512
		n.Content, n.data, err = contentOf(path, st.Size)
	case "symbolic link":
		n.Target, err = os.Readlink(path)
	case "character device", "block device":
		n.Device = st.Rdev
	}
	if n.Kind == "file" || n.Kind == "directory" {
		flags, flagErr := flagsOf(path)
		if n.Flags = flags; flagErr != nil && !errors.Is(flagErr, unix.ENOTTY) && !errors.Is(flagErr, unix.EOPNOTSUPP) && !errors.Is(flagErr, unix.ENOSYS) {
			err = errors.Join(err, flagErr)
		}
	} else if n.Kind == "symbolic link" {
		n.Mode = 0
	}
	if st.Nlink > 1 && n.Kind != "directory" {
		inode := [2]uint64{st.Dev, st.Ino}
		if l.first[inode] == "" {
			l.first[inode] = name
		}
		n.First = l.first[inode]
	}
	if err == nil {
		n.Attributes, err = attributesOf(path)
	}
	return n, err
}

// attributesOf returns the attributes that the user of this process sees.
func attributesOf(path string) (map[string]string, error) {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, list)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:n]), "\x00"), "\x00") {
		// xfs shows access lists once more, under names of its own.
		if name == "" || strings.HasPrefix(name, "trusted.SGI_ACL_") {
			continue
		}
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		all[name] = string(value[:n])
	}
	return all, nil
}

// page is the unit in which content is compared.
const page = 4096

// contentOf sums up a file. What is zero counts for nothing, whether it is a hole or was written.
func contentOf(path string, size int64) (sum string, data int64, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	b := make([]byte, 64*page)
	for at := int64(0); at < size; {
		next, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return "", 0, err
		}
		at = next / page * page
		n, err := f.ReadAt(b, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", 0, err
		}
		if n == 0 {
			break
		}
		for start := 0; start < n; start += page {
			piece := bytes.TrimRight(b[start:min(start+page, n)], "\x00")
			if len(piece) > 0 {
				h.Write(binary.BigEndian.AppendUint64(nil, uint64(at)+uint64(start)))
				h.Write(piece)
				data += page
			}
		}
		at += int64(n)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), data, nil
}

// Differences says in words what of a tree is not as it should be; nothing if all is.
func (want View) Differences(got View) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		is, there := got[name]
		if !there {
			all = append(all, fmt.Sprintf("%s %q is missing", want[name].Kind, short(name)))
			continue
		}
		for _, what := range want[name].differences(is) {
			all = append(all, fmt.Sprintf("%q: %s", short(name), what))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, wanted := want[name]; !wanted {
			all = append(all, fmt.Sprintf("%s %q was never on the source", got[name].Kind, short(name)))
		}
	}
	return all
}

func (want Name) differences(got Name) (all []string) {
	is := func(what string, want, got any) {
		if want != got {
			all = append(all, fmt.Sprintf("%s is %v, not %v", what, got, want))
		}
	}
	if want.Kind != got.Kind {
		return []string{fmt.Sprintf("is a %s, not a %s", got.Kind, want.Kind)}
	}
	is("mode", fs.FileMode(want.Mode), fs.FileMode(got.Mode))
	is("owner", want.Owner, got.Owner)
	is("device", want.Device, got.Device)
	is("size", want.Size, got.Size)
	is("time", fmt.Sprintf("%d.%09d", want.Sec, want.Nsc), fmt.Sprintf("%d.%09d", got.Sec, got.Nsc))
	is("target", short(want.Target), short(got.Target))
	is("content", want.Content, got.Content)
	is("first name", short(want.First), short(got.First))
	is("flags", want.Flags, got.Flags)
	for _, name := range slices.Sorted(maps.Keys(want.Attributes)) {
		if value, there := got.Attributes[name]; !there {
			all = append(all, fmt.Sprintf("attribute %q is missing", name))
		} else if value != want.Attributes[name] {
			all = append(all, fmt.Sprintf("attribute %q is another one", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got.Attributes)) {
		if _, wanted := want.Attributes[name]; !wanted {
			all = append(all, fmt.Sprintf("attribute %q was never there", name))
		}
	}
	if most := got.data + got.data/4 + 1<<20; got.disk > most && got.disk > want.disk {
		all = append(all, fmt.Sprintf("takes up %d KiB on disk for %d KiB of data: its holes were filled", got.disk>>10, got.data>>10))
	}
	return all
}

// short keeps a message readable though names go up to the longest path.
func short(name string) string {
	if len(name) <= 100 {
		return name
	}
	return fmt.Sprintf("%s...%s (%d bytes)", name[:40], name[len(name)-20:], len(name))
}
