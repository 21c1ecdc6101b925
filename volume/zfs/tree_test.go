package zfs

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// everyKind fills a directory with everything that a file system holds. Immutable files are left to
// the caller, who can take the flag away again.
func everyKind(t *testing.T, root string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(root, name) }
	must(os.MkdirAll(at("deep/er"), 0o2775))
	must(os.WriteFile(at("deep/er/file"), random(300_000), 0o600))
	must(os.WriteFile(at("empty"), nil, 0o000))
	must(os.WriteFile(at("odd \n\xff name"), []byte("odd"), 0o644))
	must(os.WriteFile(at("setuid"), []byte("#!"), 0o755))
	must(os.Chown(at("setuid"), 1234, 4321))
	must(os.Chmod(at("setuid"), 0o4755|os.ModeSetuid))
	sparse, err := os.Create(at("sparse"))
	must(err)
	_, err = sparse.WriteAt([]byte("end"), 1<<30)
	must(err)
	must(sparse.Close())
	must(os.Link(at("setuid"), at("deep/link")))
	must(os.Symlink("nowhere/at all", at("symlink")))
	must(unix.Mkfifo(at("fifo"), 0o640))
	must(unix.Mknod(at("socket"), unix.S_IFSOCK|0o600, 0))
	must(unix.Mknod(at("char"), unix.S_IFCHR|0o660, int(unix.Mkdev(1, 3))))
	must(unix.Mknod(at("block"), unix.S_IFBLK|0o660, int(unix.Mkdev(7, 200))))
	must(unix.Setxattr(at("deep/er/file"), "user.note", []byte("a note"), 0))
	must(unix.Setxattr(at("deep/er/file"), "trusted.note", []byte{0, 1, 255}, 0))
	must(unix.Setxattr(at("setuid"), "security.capability", []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0))
	// user::rw-, user:1234:rw-, group::r--, mask::rw-, other::r--
	list := []byte{2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 210, 4, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
		16, 0, 6, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255}
	must(unix.Setxattr(at("odd \n\xff name"), "system.posix_acl_access", list, 0))
	must(unix.Setxattr(at("deep"), "system.posix_acl_default", list, 0))
	for name, when := range map[string]time.Time{"symlink": time.Unix(1_000_000_000, 123_456_789), "odd \n\xff name": time.Date(1901, 12, 20, 0, 0, 0, 1, time.UTC),
		"empty": time.Date(2446, 1, 1, 0, 0, 0, 999_999_999, time.UTC), "deep": time.Unix(5, 0)} {
		sec, nsec := when.Unix(), int64(when.Nanosecond())
		must(unix.UtimesNanoAt(unix.AT_FDCWD, at(name), []unix.Timespec{{Sec: sec, Nsec: nsec}, {Sec: sec, Nsec: nsec}}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// describe lists a tree: a line per name with everything that can be known of it.
func describe(t *testing.T, root string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("%q mode %o owner %d:%d links %d mtime %d.%09d", strings.TrimPrefix(path, root), st.Mode, st.Uid, st.Gid, st.Nlink*b2u(!d.IsDir()), st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			line += fmt.Sprintf(" size %d", st.Size)
			if st.Size < 1<<24 {
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %x", sha256.Sum256(content))
			} else {
				line += fmt.Sprintf(" sparse %t", st.Blocks < st.Size/4096)
			}
		case unix.S_IFLNK:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " to " + to
		case unix.S_IFCHR, unix.S_IFBLK:
			line += fmt.Sprintf(" device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		lines = append(lines, line+attributes(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func attributes(path string) string {
	names, value := make([]byte, 4096), make([]byte, 4096)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		return ""
	}
	var all []string
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if n, err := unix.Lgetxattr(path, name, value); err == nil && name != "" {
			all = append(all, fmt.Sprintf(" %s=%x", name, value[:n]))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}
