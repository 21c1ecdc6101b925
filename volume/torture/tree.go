package torture

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Tree is the content of a volume that changes at random. One goroutine uses it at a time.
type Tree struct {
	root *os.Root
	can  Can
	r    *rand.Rand
	// Without are names of changes that are not made.
	Without []string
	// done counts the changes that were made, by what they are.
	done map[string]int
}

// OpenTree opens what is below a directory for changes, chosen by r, to what can be held.
func OpenTree(path string, can Can, r *rand.Rand) (*Tree, error) {
	root, err := os.OpenRoot(path)
	return &Tree{root: root, can: can, r: r, done: map[string]int{}}, err
}

// Close ends the changing.
func (t *Tree) Close() error { return t.root.Close() }

// Grow makes that many names, or a few less.
func (t *Tree) Grow(names int) {
	for range names {
		t.do(makers)
	}
	for range names {
		t.do(changers)
	}
	t.deep()
}

// Change makes one change.
func (t *Tree) Change() {
	if t.r.IntN(3) == 0 {
		t.do(makers)
	} else {
		t.do(changers)
	}
}

// Done returns how many changes of each kind were made.
func (t *Tree) Done() map[string]int { return t.done }

// A change is one thing that can happen to a tree.
type change struct {
	name string
	// weight is how often it is chosen.
	weight int
	// of says where it is possible; nil: everywhere.
	of func(Can) bool
	do func(t *Tree) error
}

// do does one of the changes. One that the kernel refuses, as the name it has chosen is of the wrong
// kind or protected say, is none.
func (t *Tree) do(all []change) {
	sum := 0
	for _, c := range all {
		sum += c.weight
	}
	n := t.r.IntN(sum)
	i := 0
	for ; n >= all[i].weight; i++ {
		n -= all[i].weight
	}
	if c := all[i]; !slices.Contains(t.Without, c.name) && (c.of == nil || c.of(t.can)) && c.do(t) == nil {
		t.done[c.name]++
	}
}

// at returns a path by which every call of the kernel reaches a name, however deep it is.
func (t *Tree) at(name string) (path string, done func(), err error) {
	dir, err := t.root.Open(filepath.Dir(name))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(name)), func() { dir.Close() }, nil
}

// on calls do with a path of the name.
func (t *Tree) on(name string, do func(path string) error) error {
	path, done, err := t.at(name)
	if err != nil {
		return err
	}
	defer done()
	return do(path)
}

// list returns the names in a directory, sorted: what a seed chooses must not depend on the order
// that a file system has them in.
func (t *Tree) list(dir string) []string {
	f, err := t.root.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	return names
}

// pick returns a name of the tree; "." if there is none.
func (t *Tree) pick() string {
	name := "."
	for {
		names := t.list(name)
		if len(names) == 0 {
			return name
		}
		name = filepath.Join(name, names[t.r.IntN(len(names))])
		if info, err := t.root.Lstat(name); err != nil || !info.IsDir() || t.r.IntN(3) == 0 {
			return name
		}
	}
}

// pickOf returns a name of that kind; "." if none was found.
func (t *Tree) pickOf(kind func(fs.FileMode) bool) string {
	for range 8 {
		name := t.pick()
		if info, err := t.root.Lstat(name); err == nil && kind(info.Mode()) {
			return name
		}
	}
	return "."
}

// pickFile returns the name of a file; "." if none was found.
func (t *Tree) pickFile() string { return t.pickOf(fs.FileMode.IsRegular) }

// pickDir returns the name of a directory.
func (t *Tree) pickDir() string {
	if t.r.IntN(4) == 0 {
		return "."
	}
	return t.pickOf(fs.FileMode.IsDir)
}

// odd are names that have been trouble somewhere, or sort where one does not expect it.
var odd = []string{"a", "a.b", "a-b", "a b", "a\nb", "-rf", "--delete", " ", "...", "..a", "~", "*", "$HOME", "#", `\`, `\#012`, "\xff\xfe", "\x01",
	"\x7f", "ü", "u\u0308", "CON", ".drover", "copy.json", ".nfs0001", "lost+found", "\xe2\x80\xae", "core"}

// newName returns a name in a directory, which may be there already.
func (t *Tree) newName() string {
	dir := t.pickDir()
	var name string
	switch t.r.IntN(4) {
	case 0:
		name = odd[t.r.IntN(len(odd))]
	case 1:
		name = t.bytesName(1 + t.r.IntN(255))
	case 2:
		name = t.bytesName(1 + t.r.IntN(12))
	default:
		name = fmt.Sprintf("name-%d", t.r.IntN(1000))
	}
	if name = filepath.Join(dir, name); len(name) > rsyncPath-256 {
		return filepath.Base(name) // there is room for what a directory gets later
	}
	return name
}

// bytesName is a name of any bytes that a name may have.
func (t *Tree) bytesName(length int) string {
	b := make([]byte, length)
	for i := range b {
		for b[i] == 0 || b[i] == '/' {
			b[i] = byte(t.r.UintN(256))
		}
	}
	if name := string(b); name != "." && name != ".." {
		return name
	}
	return "dots"
}

// maxPath is how long a path below the root may be: what a program in a container can name that has
// the volume at /v.
const maxPath = unix.PathMax - 1 - len("/v/")

// rsyncPath is how long one may be that rsync can name, which puts the way to the volume before it.
const rsyncPath = maxPath - 200

// deep makes a file as deep down as rsync can follow.
func (t *Tree) deep() {
	if t.r.IntN(3) > 0 || slices.Contains(t.Without, "longest path") {
		return
	}
	path := "deep"
	for len(path) < rsyncPath-256 {
		path += "/" + strings.Repeat("d", 100+t.r.IntN(155))
	}
	if t.root.MkdirAll(path, 0o700) != nil {
		return
	}
	path += "/" + strings.Repeat("f", min(rsyncPath-len(path)-1, 255))
	if f, err := t.root.Create(path); err == nil {
		fmt.Fprint(f, "at the end of the longest path")
		f.Close()
		t.done["longest path"]++
	}
}
