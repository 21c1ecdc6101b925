package btrfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// sameTo holds what b has of a snapshot against what a has of it, as rsync sees it, and its flags.
func sameTo(t *testing.T, p *pair, name cluster.SnapshotName) {
	t.Helper()
	a, err := p.a.find(p.id)
	p.must(err)
	b, err := p.b.find(p.id)
	p.must(err)
	out, err := exec.Command("rsync", "-aHAXSn", "--checksum", "--delete", "--itemize-changes",
		a.snapshotPath(name)+"/", b.snapshotPath(name)+"/").CombinedOutput()
	if err != nil || len(out) != 0 {
		t.Errorf("%s: %v: %s", name, err, out)
	}
	flags := func(c *subvolumes) string {
		out, err := exec.Command("sh", "-c", `cd "$1" && lsattr -Ra . | grep -v '^$' | sort`, "sh", c.snapshotPath(name)).Output()
		p.must(err)
		return string(out)
	}
	if flags(a) != flags(b) {
		t.Errorf("%s: flags\n%s, not\n%s", name, flags(b), flags(a))
	}
}

// TestFlagsAreKept though the kernel ships none: set, taken away, and on what was changed or deleted
// since.
func TestFlagsAreKept(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	dir := p.a.Path(p.id)
	shell := func(script string) {
		t.Helper()
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
	}
	base := cluster.SnapshotName("")
	for i, script := range []string{
		"echo 1 >plain",
		"mkdir -p sub; echo 1 >a; echo 1 >b; echo 1 >sub/c; echo 1 >sub/e; chattr +i a; chattr +a b; chattr +d sub/c; chattr +i sub/e sub",
		"echo 2 >plain",
		"chattr -i a; echo 2 >a",
		"chattr -a b; rm b; chattr -i sub sub/e; rm sub/e",
		"chattr -d sub/c",
		"chattr +i a sub; echo 3 >plain",
		"chattr -i a sub; rm -r a sub",
	} {
		shell(script)
		name := cluster.SnapshotName(fmt.Sprint("s", i))
		_, err := p.a.Snapshot(t.Context(), p.id, name, false)
		p.must(err)
		carryFrom(t, p, base, name)
		sameTo(t, p, name)
		base = name
	}
}

func carryFrom(t *testing.T, p *pair, base, name cluster.SnapshotName) {
	t.Helper()
	d := volume.Delta{Volume: p.id, From: base, To: name}
	err := p.b.Receive(t.Context(), d, bytes.NewReader(p.stream(d)))
	if errors.Is(err, cluster.ErrStale) && base != "" { // the base went by files
		d.Files = true
		err = p.b.Receive(t.Context(), d, bytes.NewReader(p.stream(d)))
	}
	p.must(err)
}

// TestWhatIsProtectedHereMovesBack: a node of an earlier version ships a volume without its flags, and
// back what was changed since; where it came from they still are.
func TestWhatIsProtectedHereMovesBack(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	for _, name := range []string{"a", "b", "log"} {
		p.write(p.a, name, []byte("1"))
	}
	p.must(os.Mkdir(filepath.Join(p.a.Path(p.id), "sub"), 0o700))
	p.write(p.a, "sub/c", []byte("1"))
	script := `cd "$1" && chattr +i a b sub/c sub && chattr +a log`
	if out, err := exec.Command("sh", "-ec", script, "sh", p.a.Path(p.id)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.must(p.a.Close(t.Context(), p.id))
	earlier := func(from, to *Backend, base, name cluster.SnapshotName) {
		t.Helper()
		_, err := from.Snapshot(t.Context(), p.id, name, false)
		p.must(err)
		c, err := from.find(p.id)
		p.must(err)
		d := volume.Delta{Volume: p.id, From: base, To: name}
		h, err := c.ends(d)
		p.must(err)
		parent := ""
		if base != "" {
			parent = c.snapshotPath(base)
		}
		var stream bytes.Buffer
		p.must(sendKernel(t.Context(), h, c.snapshotPath(name), parent, &stream))
		p.must(to.Receive(t.Context(), d, &stream))
	}
	earlier(p.a, p.b, "", "s1")
	p.must(p.a.Demote(t.Context(), p.id, 2))
	_, err := p.b.Open(t.Context(), p.id, 2, guid(t, p.b, p.id))
	p.must(err)
	at := p.b.Path(p.id)
	p.must(os.Remove(filepath.Join(at, "a")))
	p.must(os.RemoveAll(filepath.Join(at, "sub")))
	p.must(os.Rename(filepath.Join(at, "log"), filepath.Join(at, "log.1")))
	p.write(p.b, "b", []byte("22"))
	p.must(p.b.Close(t.Context(), p.id))
	earlier(p.b, p.a, "s1", "s2")
	files, err := readFiles(t, p.a, p.id)
	if err != nil || len(files) != 2 || files["b"] != "22" || files["log.1"] != "1" {
		t.Errorf("what is back is %v, %v", files, err)
	}
}

// TestNothingInheritsAnAccessList: what a stream makes in a directory with a default list has only what
// is in the stream.
func TestNothingInheritsAnAccessList(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	dir := p.a.Path(p.id)
	p.write(p.a, "before", nil)
	p.must(os.Mkdir(filepath.Join(dir, "dir-before"), 0o751))
	if out, err := exec.Command("setfacl", "-d", "-m", "u:1234:rwx", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.write(p.a, "after", nil)
	_, err := p.a.Snapshot(t.Context(), p.id, "s1", false)
	p.must(err)
	carryFrom(t, p, "", "s1")
	sameTo(t, p, "s1")
	p.must(os.Mkdir(filepath.Join(dir, "dir-after"), 0o711))
	if out, err := exec.Command("setfacl", "-b", filepath.Join(dir, "dir-after")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err = p.a.Snapshot(t.Context(), p.id, "s2", false)
	p.must(err)
	carryFrom(t, p, "s1", "s2")
	sameTo(t, p, "s2")
}
