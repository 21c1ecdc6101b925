package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/drover/drover/internal/durable"
)

// noFollow keeps an open from going through a symbolic link that was put in a file's place.
const noFollow = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK

// A tree is the files of a replica while a stream is applied to them. It never touches anything
// outside its root, whatever the stream says and whatever links are below it.
type tree struct {
	root *os.Root
	path string
	// entries is what is there, by path; nothing else is.
	entries map[string]*entry
	// pending are the entries whose time is to be set when all below them is done.
	pending map[string]bool
	// changed are the paths to be synced.
	changed map[string]bool
	file    *os.File
	current *entry
}

func openTree(path string, base *manifest) (*tree, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, path: path, entries: base.index(), pending: map[string]bool{}, changed: map[string]bool{}}, nil
}

func (t *tree) close() {
	if t.file != nil {
		t.file.Close()
	}
	t.root.Close()
}

// remove removes a name with all that is below it.
func (t *tree) remove(path string) error {
	if err := t.finishFile(); err != nil {
		return err
	}
	if path == "." {
		return errors.New("the root of a volume cannot be removed")
	}
	if err := t.root.RemoveAll(path); err != nil {
		return err
	}
	for name := range t.entries {
		if name == path || strings.HasPrefix(name, path+"/") {
			delete(t.entries, name)
			delete(t.pending, name)
			delete(t.changed, name)
		}
	}
	t.changed[filepath.Dir(path)] = true
	return nil
}

// put makes a name what e says, except for the content of a file, which follows block by block.
func (t *tree) put(e entry) error {
	if err := t.finishFile(); err != nil {
		return err
	}
	was := t.entries[e.Path]
	if was != nil && (was.Kind != e.Kind || e.Kind == kindSymlink || e.Kind == kindHardlink) {
		if err := t.remove(e.Path); err != nil {
			return err
		}
		was = nil
	}
	if err := t.make(&e, was); err != nil {
		return err
	}
	t.changed[e.Path], t.changed[filepath.Dir(e.Path)] = true, true
	t.entries[e.Path] = &e
	t.pending[e.Path] = e.Kind == kindDir || e.Kind == kindFile
	if e.Kind == kindFile {
		t.current = &e
	}
	return nil
}

// make makes what is missing and sets everything but the time.
func (t *tree) make(e, was *entry) error {
	switch e.Kind {
	case kindDir:
		if was == nil && e.Path != "." {
			if err := t.root.Mkdir(e.Path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	case kindFile:
		if err := t.openFile(e, was); err != nil {
			return err
		}
	case kindSymlink:
		if err := t.root.Symlink(e.Target, e.Path); err != nil {
			return err
		}
		return ownLink(t.root, e)
	case kindHardlink:
		return t.root.Link(e.Target, e.Path)
	case kindFIFO:
		if was == nil {
			if err := t.makeFIFO(e.Path); err != nil {
				return err
			}
		}
	}
	return t.attributes(e)
}

// openFile opens a file for its blocks and gives it its size.
func (t *tree) openFile(e, was *entry) error {
	f, err := t.root.OpenFile(e.Path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return err
	}
	t.file = f
	if err := f.Truncate(e.Size); err != nil {
		return err
	}
	e.Blocks = make([]hash, blocksOf(e.Size))
	if was != nil {
		copy(e.Blocks, was.Blocks)
	}
	return nil
}

func (t *tree) makeFIFO(path string) error {
	dir, err := t.root.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	err = unix.Mknodat(int(dir.Fd()), filepath.Base(path), unix.S_IFIFO|0o600, 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// attributes sets owner, extended attributes and mode, in this order: a change of owner clears
// the setuid bit.
func (t *tree) attributes(e *entry) error {
	if os.Getuid() == 0 {
		if err := t.root.Lchown(e.Path, e.UID, e.GID); err != nil {
			return err
		}
	}
	if e.Kind != kindFIFO {
		if err := t.setXattrs(e); err != nil {
			return err
		}
	}
	return t.root.Chmod(e.Path, modeOf(e.Mode))
}

// modeOf turns the bits of st_mode into those of package fs.
func modeOf(bits uint32) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

func ownLink(root *os.Root, e *entry) error {
	if os.Getuid() != 0 {
		return nil
	}
	return root.Lchown(e.Path, e.UID, e.GID)
}

// setXattrs makes the extended attributes those of the entry.
func (t *tree) setXattrs(e *entry) error {
	f := t.file
	if e.Kind != kindFile {
		var err error
		if f, err = t.root.Open(e.Path); err != nil {
			return err
		}
		defer f.Close()
	}
	there, err := readXattrs(f)
	if err != nil {
		return err
	}
	for name := range there {
		if _, wanted := e.Xattrs[name]; !wanted {
			if err := unix.Fremovexattr(int(f.Fd()), name); err != nil {
				return err
			}
		}
	}
	for name, value := range e.Xattrs {
		if err := unix.Fsetxattr(int(f.Fd()), name, value, 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// write writes one block of the current file. Data is nil for zeros.
func (t *tree) write(number uint64, h hash, data []byte) error {
	if t.current == nil || number >= uint64(len(t.current.Blocks)) {
		return fmt.Errorf("block %d is outside of its file", number)
	}
	start := int64(number) * blockSize
	length := min(blockSize, t.current.Size-start)
	if data == nil {
		if err := punch(t.file, start, length); err != nil {
			return err
		}
	} else {
		if int64(len(data)) != length {
			return fmt.Errorf("block %d has %d bytes, not %d", number, len(data), length)
		}
		if _, err := t.file.WriteAt(data, start); err != nil {
			return err
		}
	}
	t.current.Blocks[number] = h
	return nil
}

// punch makes a stretch of a file zeros, by a hole where the file system can.
func punch(f *os.File, start, length int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, start, length)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		_, err = f.WriteAt(make([]byte, length), start)
	}
	return err
}

// finishFile ends the writing of the current file: its time is set and it is closed.
func (t *tree) finishFile() error {
	if t.file == nil {
		return nil
	}
	defer func() { t.file, t.current = nil, nil }()
	mtime := time.Unix(0, t.current.MTime)
	if err := t.root.Chtimes(t.current.Path, mtime, mtime); err != nil {
		t.file.Close()
		return err
	}
	delete(t.pending, t.current.Path)
	return t.file.Close()
}

// finish sets the times of directories, the deepest first, and makes everything durable.
func (t *tree) finish() error {
	if err := t.finishFile(); err != nil {
		return err
	}
	dirs := []string{}
	for path, is := range t.pending {
		if is {
			dirs = append(dirs, path)
		}
	}
	slices.Sort(dirs)
	slices.Reverse(dirs)
	for _, path := range dirs {
		mtime := time.Unix(0, t.entries[path].MTime)
		if err := t.root.Chtimes(path, mtime, mtime); err != nil {
			return err
		}
		delete(t.pending, path)
	}
	return t.sync()
}

// syncOneByOne is up to how many files are synced each by itself. For more, one sync of the file
// system costs less, but waits for what others have written too.
const syncOneByOne = 64

func (t *tree) sync() error {
	if len(t.changed) > syncOneByOne {
		return syncFileSystem(t.path)
	}
	var group errgroup.Group
	for path := range t.changed {
		e := t.entries[path]
		if e == nil || (e.Kind != kindFile && e.Kind != kindDir) {
			continue
		}
		group.Go(func() error { return durable.SyncDir(filepath.Join(t.path, path)) })
	}
	return group.Wait()
}

// manifest returns what is there now. Entries whose time is not set yet say so, so that a
// transfer that goes on ships them again.
func (t *tree) manifest() *manifest {
	m := &manifest{}
	for _, e := range t.entries {
		kept := *e
		if t.pending[e.Path] {
			kept.MTime = -1
		}
		m.Entries = append(m.Entries, kept)
	}
	slices.SortFunc(m.Entries, func(a, b entry) int { return comparePaths(a.Path, b.Path) })
	return m
}

// comparePaths orders paths as a walk visits them: a directory before what is in it, and all of
// that before what follows the directory.
func comparePaths(a, b string) int {
	if a == "." || b == "." {
		return strings.Compare(strings.TrimPrefix(a, "."), strings.TrimPrefix(b, "."))
	}
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}
