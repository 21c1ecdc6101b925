package torture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A property is a row of the table in docs/volumes.md.
type property struct {
	name string
	// file is what a refusal names.
	file string
	// ofBtrfs: between kinds it is btrfs that it is about.
	ofBtrfs bool
	// onXFS: the target that it is about is xfs.
	onXFS bool
	// make makes it in an empty directory, whose files are then given to the user where that is meant.
	make func(root string) error
}

// user is the ordinary one.
const user = 65534

func (p property) plant(t testing.TB, root string) {
	t.Helper()
	if err := p.make(root); err != nil {
		t.Fatalf("make %s: %v", p.name, err)
	}
}

// file makes a file and returns its path.
func file(root, name string) string {
	path := filepath.Join(root, name)
	_ = os.WriteFile(path, []byte("content of "+name), 0o640) // whoever uses it will see
	return path
}

func attribute(name string, size int) func(string) error {
	return func(root string) error { return unix.Lsetxattr(file(root, "marked"), name, make([]byte, size), 0) }
}

// properties are the rows.
var properties = []property{
	{name: "content, and names of any bytes", make: func(root string) error {
		for b := 1; b < 256; b++ {
			if b != '/' {
				file(root, "x"+string([]byte{byte(b)}))
			}
		}
		return os.WriteFile(filepath.Join(root, strings.Repeat("n", 255)), make([]byte, 200_000), 0o600)
	}},
	{name: "paths as long as a program can name", file: "dddddd", make: func(root string) error {
		r, err := os.OpenRoot(root)
		if err != nil {
			return err
		}
		defer r.Close()
		path := strings.Repeat("d", 199)
		for len(path)+200+1 < maxPath-1 {
			path += "/" + strings.Repeat("d", 199)
		}
		if err := r.MkdirAll(path, 0o755); err != nil {
			return err
		}
		return r.WriteFile(path+"/"+strings.Repeat("f", maxPath-len(path)-1), []byte("deep"), 0o600)
	}},
	{name: "modes with setuid, setgid and sticky bits", make: func(root string) error {
		if err := os.Chmod(file(root, "special"), 0o755|os.ModeSetuid|os.ModeSetgid); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(root, "readonly"), 0o700); err != nil {
			return err
		}
		file(filepath.Join(root, "readonly"), "inside")
		return os.Chmod(filepath.Join(root, "readonly"), 0o555|os.ModeSticky|os.ModeSetgid)
	}},
	{name: "owners and groups", file: "somebody", make: func(root string) error { return os.Lchown(file(root, "somebody"), 1234, 1<<32-2) }},
	{name: "times to the nanosecond, from 1901 to 2446", make: func(root string) error {
		for name, at := range map[string]unix.Timespec{"first": {Sec: firstTime}, "last": {Sec: lastTime - 1, Nsec: 999_999_999}, "before": {Sec: -1, Nsec: 1}} {
			if err := os.Mkdir(filepath.Join(root, "dir-"+name), 0o755); err != nil {
				return err
			}
			file(filepath.Join(root, "dir-"+name), "inside")
			if err := os.Symlink("x", filepath.Join(root, "link-"+name)); err != nil {
				return err
			}
			file(root, "file-"+name)
			for _, kind := range []string{"dir-", "link-", "file-"} {
				if err := setTime(filepath.Join(root, kind+name), at); err != nil {
					return err
				}
			}
		}
		return nil
	}},
	{name: "times that the target has no room for", file: "later", ofBtrfs: true, make: func(root string) error {
		return setTime(file(root, "later"), unix.Timespec{Sec: 1 << 40})
	}},
	{name: "access lists", make: func(root string) error {
		if err := os.Mkdir(filepath.Join(root, "dir"), 0o750); err != nil {
			return err
		}
		for _, set := range [][2]string{{file(root, "file"), accessACL}, {filepath.Join(root, "dir"), accessACL}, {filepath.Join(root, "dir"), defaultACL}} {
			if err := unix.Lsetxattr(set[0], set[1], aclOf(1000, 5), 0); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "default access list of the volume's own directory", make: func(root string) error {
		file(root, "from before")
		return unix.Lsetxattr(root, defaultACL, aclOf(1000, 5), 0)
	}},
	{name: "user attributes", make: attribute("user.mark", 100)},
	{name: "names of attributes of any bytes", make: attribute("user.\xff\xfe =\n\x01", 10)},
	{name: "trusted attributes", file: "marked", make: attribute("trusted.mark", 100)},
	{name: "attributes of symbolic links", file: "link", make: func(root string) error {
		path := filepath.Join(root, "link")
		if err := os.Symlink("nowhere", path); err != nil {
			return err
		}
		return unix.Lsetxattr(path, "trusted.mark", []byte("x"), 0)
	}},
	{name: "capabilities of programs", file: "program", make: func(root string) error {
		path := file(root, "program")
		if err := os.WriteFile(path, make([]byte, 300_000), 0o755); err != nil { // with blocks that are written
			return err
		}
		return unix.Lsetxattr(path, capabilityName, capability(1<<10), 0)
	}},
	{name: "attributes that the target has no room for", file: "marked", ofBtrfs: true, make: attribute("user.large", 14_000)},
	{name: "hard links", make: func(root string) error {
		for _, dir := range []string{"a", "z"} {
			if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
				return err
			}
		}
		path := file(root, "a/one")
		for _, other := range []string{"a/two", "z/three"} {
			if err := os.Link(path, filepath.Join(root, other)); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "hard links of anything else", make: func(root string) error {
		link, fifo := filepath.Join(root, "link"), filepath.Join(root, "fifo")
		if err := os.Symlink("nowhere", link); err != nil {
			return err
		}
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			return err
		}
		if err := os.Link(link, link+"-2"); err != nil {
			return err
		}
		return os.Link(fifo, fifo+"-2")
	}},
	{name: "holes", make: func(root string) error {
		f, err := os.Create(filepath.Join(root, "sparse"))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Truncate(1 << 28); err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("in the middle"), 1<<27)
		return err
	}},
	{name: "symbolic links that lead out or nowhere", make: func(root string) error {
		for name, to := range map[string]string{"out": "../../../etc/passwd", "absolute": "/", "self": "self", "bytes": "\xff\n"} {
			if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "symbolic links that the target has no room for", file: "link", onXFS: true, make: func(root string) error {
		return os.Symlink(strings.Repeat("x", 1025), filepath.Join(root, "link"))
	}},
	{name: "FIFOs", make: func(root string) error { return unix.Mkfifo(filepath.Join(root, "fifo"), 0o640) }},
	{name: "sockets", make: func(root string) error { return unix.Mknod(filepath.Join(root, "socket"), unix.S_IFSOCK|0o660, 0) }},
	{name: "devices", file: "device", make: func(root string) error {
		if err := unix.Mknod(filepath.Join(root, "device"), unix.S_IFBLK|0o600, int(unix.Mkdev(259, 70_000))); err != nil {
			return err
		}
		return unix.Mknod(filepath.Join(root, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
	}},
	{name: "immutable and append-only files", file: "protected", make: func(root string) error {
		if err := setFlags(file(root, "protected"), flagImmutable); err != nil {
			return err
		}
		return setFlags(file(root, "protected-log"), flagAppend)
	}},
	{name: "the flag nodump", file: "cache", make: func(root string) error { return setFlags(file(root, "cache"), flagNodump) }},
	{name: "subvolumes below the volume", file: "nested", ofBtrfs: true, make: func(root string) error {
		if err := run("btrfs", "-q", "subvolume", "create", filepath.Join(root, "nested")); err != nil {
			return err
		}
		file(filepath.Join(root, "nested"), "inside")
		return nil
	}},
	{name: "file systems that are mounted below the volume", file: "mounted", ofBtrfs: true, make: func(root string) error {
		at := filepath.Join(root, "mounted")
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("x", at, "tmpfs", 0, "size=1m,mode=755"); err != nil {
			return err
		}
		file(at, "inside")
		return nil
	}},
	{name: "files that the agent may not read", file: "secret", make: func(root string) error { return os.Chmod(file(root, "secret"), 0) }},
}
