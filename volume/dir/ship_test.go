package dir

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
)

// blockSize is that of package files, racy how long it does not trust a stamp.
const (
	blockSize = 64 << 10
	racy      = 20 * time.Millisecond
)

// same compares everything about the two trees.
func (p *pair) same() {
	p.t.Helper()
	if diff := cmp.Diff(describe(p.t, p.src), describe(p.t, p.dst)); diff != "" {
		p.t.Fatalf("pass %d (-source +replica)\n%s", p.passes, diff)
	}
}

// describe lists a tree, a line for each name with all that must be equal.
func describe(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		line := fmt.Sprintf("%q mode %o owner %d:%d links %d", name, st.Mode, st.Uid, st.Gid, st.Nlink)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" time %d size %d hash %x", st.Mtim.Nano(), st.Size, sha256.Sum256(content))
		case unix.S_IFDIR:
			line += fmt.Sprintf(" time %d", st.Mtim.Nano())
		case unix.S_IFLNK:
			target, _ := os.Readlink(path)
			line = fmt.Sprintf("%q link to %q owner %d:%d time %d", name, target, st.Uid, st.Gid, st.Mtim.Nano())
		}
		names, err := xattr.LList(path)
		if err != nil {
			return err
		}
		slices.Sort(names)
		for _, name := range names {
			value, err := xattr.LGet(path, name)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %s=%q", name, value)
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func TestEveryKindOfFile(t *testing.T) {
	p := newPair(t)
	at := func(name string) string { return filepath.Join(p.src, name) }
	write := func(name, content string) { p.must(os.WriteFile(at(name), []byte(content), 0o640)) }
	p.must(os.MkdirAll(at("dir/empty"), 0o755))
	p.must(os.Mkdir(at("sticky"), 0o755))
	p.must(os.Chmod(at("sticky"), 0o777|os.ModeSticky))
	write("file", "content")
	write("dir/nested", "content")
	write("none", "")
	write("odd \n\xff name", "content")
	write("setuid", "content")
	p.must(os.Chmod(at("setuid"), 0o755|os.ModeSetuid))
	write("executable", "#!/bin/sh")
	p.must(os.Chmod(at("executable"), 0o500))
	p.must(os.Symlink("file", at("symlink")))
	p.must(os.Symlink("/etc/passwd", at("outside")))
	p.must(os.Symlink("nowhere", at("dangling")))
	p.must(os.Link(at("file"), at("hardlink")))
	p.must(unix.Mkfifo(at("fifo"), 0o600))
	p.must(os.Chtimes(at("file"), time.Unix(1, 0), time.Unix(1, 500)))
	if os.Getuid() == 0 {
		p.must(os.Chown(at("dir/nested"), 1234, 2345))
		p.must(os.Lchown(at("dangling"), 1234, 2345))
	}
	if err := unix.Setxattr(at("file"), "user.drover", []byte("value"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	p.pass()
	p.same()
	p.pass()
	p.same()

	// And now each becomes something else.
	p.must(os.Remove(at("file"))) // the first name of two
	p.must(os.RemoveAll(at("dir")))
	write("dir", "was a directory")
	p.must(os.Remove(at("none")))
	p.must(os.Mkdir(at("none"), 0o700))
	write("none/below", "was a file")
	p.must(os.Remove(at("symlink")))
	p.must(os.Symlink("hardlink", at("symlink")))
	p.must(os.Remove(at("fifo")))
	write("fifo", "was a FIFO")
	p.must(os.Rename(at("executable"), at("renamed")))
	p.must(os.Chmod(at("setuid"), 0o600))
	p.pass()
	p.same()
}

func TestSparseFilesStaySparse(t *testing.T) {
	p := newPair(t)
	name := filepath.Join(p.src, "sparse")
	f, err := os.Create(name)
	p.must(err)
	defer f.Close()
	p.must(f.Truncate(64 << 20))
	_, err = f.WriteAt([]byte("in the middle"), 32<<20)
	p.must(err)
	p.pass()
	p.same()
	var st unix.Stat_t
	p.must(unix.Stat(filepath.Join(p.dst, "sparse"), &st))
	if used := st.Blocks * 512; used > 1<<20 {
		t.Errorf("the replica takes up %d bytes for 13", used)
	}
	// A block that becomes zeros becomes a hole, not what it was.
	_, err = f.WriteAt(make([]byte, blockSize), 32<<20)
	p.must(err)
	p.pass()
	p.same()
}

func TestOnlyChangedBlocksAreShipped(t *testing.T) {
	p := newPair(t)
	large := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{1}).Read(large)
	p.must(os.WriteFile(filepath.Join(p.src, "large"), large, 0o600))
	p.pass()
	f, err := os.OpenFile(filepath.Join(p.src, "large"), os.O_WRONLY, 0)
	p.must(err)
	defer f.Close()
	_, err = f.WriteAt([]byte("changed"), 5<<20)
	p.must(err)
	p.pass()
	p.same()
	if p.lastStream > 2*blockSize {
		t.Errorf("%d bytes were shipped for 7", p.lastStream)
	}
	p.pass()
	if p.lastStream > 2048 {
		t.Errorf("%d bytes were shipped for nothing", p.lastStream)
	}
}

// TestWritesInTheSameTick writes to a file that has just been shipped, without its size or,
// maybe, its times changing. No pass may take it for unchanged.
func TestWritesInTheSameTick(t *testing.T) {
	p := newPair(t)
	name := filepath.Join(p.src, "file")
	for n := range 50 {
		p.must(os.WriteFile(name, fmt.Appendf(nil, "%06d", n), 0o600))
		p.pass()
		p.must(os.WriteFile(name, fmt.Appendf(nil, "%06d", n+1000), 0o600))
		p.pass()
		p.same()
	}
}

// TestMappedWrites writes through a mapping whose page stays dirty: that leaves the times of the
// file alone until the page has been written back.
func TestMappedWrites(t *testing.T) {
	p := newPair(t)
	name := filepath.Join(p.src, "mapped")
	p.must(os.WriteFile(name, make([]byte, 4096), 0o600))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	p.must(err)
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	p.must(err)
	defer unix.Munmap(page)
	page[0] = 'a' // dirty from here on
	time.Sleep(3 * time.Duration(racy))
	p.pass()
	time.Sleep(3 * time.Duration(racy))
	p.pass() // by now the file's times are old enough to be trusted
	page[1] = 'b'
	p.pass()
	got, err := os.ReadFile(filepath.Join(p.dst, "mapped"))
	p.must(err)
	if string(got[:2]) != "ab" {
		t.Fatalf("the replica holds %q: a write through a mapping was missed", got[:2])
	}
}

// TestRandomEditsAndCuts edits a tree at random and ships it through cuts at random.
func TestRandomEditsAndCuts(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			p := newPair(t)
			p.cutAfter = func() int64 {
				if random.IntN(3) == 0 {
					return 1 << 40
				}
				return random.Int64N(400 << 10)
			}
			for range 6 {
				for range 1 + random.IntN(12) {
					edit(p, random)
				}
				p.pass()
				p.same()
			}
		})
	}
}

// edit makes one random change.
func edit(p *pair, random *rand.Rand) {
	p.t.Helper()
	pick := func() string { return filepath.Join(p.src, string(rune('a'+random.IntN(6)))) }
	name := pick()
	info, err := os.Lstat(name)
	isFile := err == nil && info.Mode().IsRegular()
	switch random.IntN(8) {
	case 0:
		p.must(os.RemoveAll(name))
	case 1:
		p.must(os.RemoveAll(name))
		p.must(os.MkdirAll(filepath.Join(name, "sub"), 0o750))
		p.must(os.WriteFile(filepath.Join(name, "sub", "file"), []byte(name), 0o640))
	case 2:
		p.must(os.RemoveAll(name))
		p.must(os.Symlink(filepath.Base(pick()), name))
	case 3:
		if other := pick(); isFile && other != name {
			p.must(os.RemoveAll(other))
			p.must(os.Link(name, other))
		}
	case 4:
		if isFile {
			p.must(os.Truncate(name, random.Int64N(300<<10)))
		}
	default:
		if !isFile {
			p.must(os.RemoveAll(name))
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		p.must(err)
		content := make([]byte, random.IntN(200<<10))
		for i := range content {
			content[i] = byte(random.Uint32())
		}
		_, err = f.WriteAt(content, random.Int64N(200<<10))
		p.must(err)
		p.must(f.Close())
	}
}
