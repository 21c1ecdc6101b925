package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
)

// A hash is a SHA-256: of a block, or of all that a file holds.
type hash [sha256.Size]byte

// kind is what an entry is.
type kind byte

const (
	kindFile     kind = 'f'
	kindDir      kind = 'd'
	kindSymlink  kind = 'l'
	kindHardlink kind = 'h' // another name of an earlier entry
	kindFIFO     kind = 'p'
	kindSocket   kind = 's'
	kindChar     kind = 'c'
	kindBlock    kind = 'b'
)

var kinds = map[kind]string{kindFile: "a file", kindDir: "a directory", kindSymlink: "a symbolic link", kindHardlink: "a hard link",
	kindFIFO: "a FIFO", kindSocket: "a socket", kindChar: "a device", kindBlock: "a device"}

func (k kind) String() string { return kinds[k] }

// A moment is a time as file systems keep it. Some go further than the nanoseconds of a time.Time.
type moment struct {
	sec  int64
	nsec uint32
}

func (m moment) String() string {
	return time.Unix(m.sec, int64(m.nsec)).UTC().Format("2006-01-02T15:04:05.999999999Z")
}

func (m moment) before(o moment) bool {
	return m.sec < o.sec || (m.sec == o.sec && m.nsec < o.nsec)
}

// An entry is one name of a tree. A hard link has nothing but its path and its target.
type entry struct {
	// path is below the root, with slashes; the root itself is "".
	path     string
	kind     kind
	mode     uint32 // permissions, setuid, setgid and sticky, as st_mode has them
	uid, gid uint32
	mtime    moment
	size     int64  // of a file, in bytes
	device   uint64 // of a device, as st_rdev has it
	flags    uint32 // some of those that chattr sets: see flags.go
	// target is where a symbolic link points, or the path whose other name a hard link is.
	target string
	xattrs []attribute // sorted by name

	// sum is the SHA-256 of the runs of a file, and held how many bytes of it are no holes.
	sum  hash
	held int64
	// seen is the inode as it was found, on this node only.
	seen seen
	ino  uint64 // the same while it is being looked at, also where stamps prove nothing
}

// An attribute is an extended attribute.
type attribute struct {
	name  string
	value []byte
}

// A seen tells whether an inode may have been changed since.
type seen struct {
	ino   uint64
	ctime moment
}

// since says what became of an inode that was left as another one was.
func (s seen) since(left seen) string {
	if s.ino != left.ino {
		return fmt.Sprintf("another inode, changed at %s", s.ctime)
	}
	return fmt.Sprintf("changed at %s, left at %s", s.ctime, left.ctime)
}

// same reports whether two entries mean the same to another node, content left out.
func (e *entry) same(o *entry) bool {
	return e.path == o.path && e.kind == o.kind && e.mode == o.mode && e.uid == o.uid && e.gid == o.gid && e.mtime == o.mtime &&
		e.size == o.size && e.device == o.device && e.flags == o.flags && e.target == o.target && sameAttributes(e.xattrs, o.xattrs)
}

// sameStat is same for what a stat tells of a file.
func (e *entry) sameStat(o *entry) bool {
	return e.mode == o.mode && e.uid == o.uid && e.gid == o.gid && e.mtime == o.mtime && e.size == o.size && e.flags == o.flags
}

func sameAttributes(a, b []attribute) bool {
	return slices.EqualFunc(a, b, func(x, y attribute) bool { return x.name == y.name && bytes.Equal(x.value, y.value) })
}

// has reports whether an entry has an attribute.
func (e *entry) has(name string) bool {
	return slices.ContainsFunc(e.xattrs, func(a attribute) bool { return a.name == name })
}

// split returns the path of the directory that a path is in, and its name there.
func split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// join is the opposite of split.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// below reports whether a path is in a directory, however deep.
func below(path, dir string) bool {
	return len(path) > len(dir) && (dir == "" || (path[len(dir)] == '/' && path[:len(dir)] == dir))
}

// compare orders paths as a walk visits them: a directory, then all that is in it, then what
// follows it.
func compare(a, b string) int {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		switch {
		case x == y:
		case x == '/':
			return -1
		case y == '/':
			return 1
		case x < y:
			return -1
		default:
			return 1
		}
	}
	return len(a) - len(b)
}

// Bounds on what is read from a peer, and so on what is sent.
const (
	maxPath       = 64 << 10
	maxName       = 1023     // what ZFS can be told to allow; others have 255
	maxAttribute  = 64 << 10 // XATTR_SIZE_MAX
	maxAttributes = 8 << 20  // of one entry, all together
)

// append encodes what travels of an entry: numbers as in encoding/binary's varints, texts with their
// length before them.
func (e *entry) append(b []byte) []byte {
	b = append(b, byte(e.kind))
	b = appendText(b, e.path)
	b = appendText(b, e.target)
	if e.kind == kindHardlink {
		return b
	}
	for _, n := range []uint64{uint64(e.mode), uint64(e.uid), uint64(e.gid), uint64(e.size), e.device, uint64(e.flags)} {
		b = binary.AppendUvarint(b, n)
	}
	b = e.mtime.append(b)
	b = binary.AppendUvarint(b, uint64(len(e.xattrs)))
	for _, a := range e.xattrs {
		b = appendText(b, a.name)
		b = appendText(b, string(a.value))
	}
	return b
}

func (m moment) append(b []byte) []byte {
	return binary.AppendUvarint(binary.AppendVarint(b, m.sec), uint64(m.nsec))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// A decoder reads what append wrote. The first thing that is wrong ends it.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	return number(d, n, size)
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.b)
	return number(d, n, size)
}

func number[T int64 | uint64](d *decoder, n T, size int) T {
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) bytes(most int) []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) || n > uint64(most) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) text(most int) string { return string(d.bytes(most)) }

func (d *decoder) moment() moment {
	m := moment{sec: d.varint()}
	nsec := d.uvarint()
	d.bad = d.bad || nsec >= 1e9
	m.nsec = uint32(nsec)
	return m
}

// small returns a number of 32 bits.
func (d *decoder) small() uint32 {
	n := d.uvarint()
	d.bad = d.bad || n != uint64(uint32(n))
	return uint32(n)
}

func (d *decoder) hash() (h hash) {
	if len(d.b) < len(h) {
		d.bad, d.b = true, nil
		return h
	}
	copy(h[:], d.b)
	d.b = d.b[len(h):]
	return h
}

// entry reads what travels of an entry, and checks that it stays below the root.
func (d *decoder) entry() (entry, error) {
	var e entry
	if len(d.b) > 0 {
		e.kind, d.b = kind(d.b[0]), d.b[1:]
	}
	e.path, e.target = d.text(maxPath), d.text(maxPath)
	if e.kind != kindHardlink {
		e.mode, e.uid, e.gid = d.small(), d.small(), d.small()
		size := d.uvarint()
		e.size, e.device, e.flags, e.mtime = int64(size), d.uvarint(), d.small(), d.moment()
		d.attributes(&e)
	}
	if d.bad {
		return e, fmt.Errorf("%w: an entry in a stream cannot be read", cluster.ErrInvalid)
	}
	return e, e.check()
}

func (d *decoder) attributes(e *entry) {
	all := 0
	for range d.uvarint() {
		a := attribute{name: d.text(maxName), value: bytes.Clone(d.bytes(maxAttribute))}
		all += len(a.name) + len(a.value)
		if d.bad || a.name == "" || strings.ContainsRune(a.name, 0) || all > maxAttributes || (len(e.xattrs) > 0 && a.name <= e.xattrs[len(e.xattrs)-1].name) {
			d.bad = true
			return
		}
		e.xattrs = append(e.xattrs, a)
	}
}

// check returns cluster.ErrInvalid for an entry that no sender makes.
func (e *entry) check() error {
	wrong := func(what string) error {
		return fmt.Errorf("%w: entry %q in a stream: %s", cluster.ErrInvalid, e.path, what)
	}
	if err := checkPath(e.path); err != nil && e.path != "" {
		return err
	}
	switch {
	case kinds[e.kind] == "":
		return wrong(fmt.Sprintf("kind %q", byte(e.kind)))
	case e.path == "" && e.kind != kindDir:
		return wrong("the root is " + e.kind.String())
	case e.kind == kindHardlink && checkPath(e.target) != nil, e.kind == kindSymlink && (e.target == "" || strings.ContainsRune(e.target, 0)):
		return wrong(fmt.Sprintf("target %q", e.target))
	case e.kind != kindHardlink && e.kind != kindSymlink && e.target != "":
		return wrong("a target")
	case e.size < 0 || (e.kind != kindFile && e.size != 0):
		return wrong(fmt.Sprintf("size %d", e.size))
	case e.mode&^0o7777 != 0:
		return wrong(fmt.Sprintf("mode %o", e.mode))
	case e.flags&^carriedFlags != 0:
		return wrong(fmt.Sprintf("flags %x", e.flags))
	}
	return nil
}

// checkPath returns cluster.ErrInvalid for a path that is not clean, or not below the root.
func checkPath(path string) error {
	ok := path != "" && !strings.ContainsRune(path, 0)
	for name := range strings.SplitSeq(path, "/") {
		ok = ok && name != "" && name != "." && name != ".." && len(name) <= maxName
	}
	if !ok {
		return fmt.Errorf("%w: path %q in a stream", cluster.ErrInvalid, path)
	}
	return nil
}
