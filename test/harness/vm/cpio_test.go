package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestCpio reads an archive with the program of that name.
func TestCpio(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("CANNOT RUN: ", err)
	}
	from := filepath.Join(t.TempDir(), "from")
	if err := os.WriteFile(from, []byte("copied"), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c := newCpio(&b)
	c.file("/deep/down/file", 0o640, []byte("content"))
	c.copy("/deep/copy", from)
	c.link("/link", "/deep/copy")
	c.dir("/deep") // is there
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	read := exec.Command("cpio", "--extract", "--quiet", "--make-directories", "--no-absolute-filenames")
	read.Dir, read.Stdin = root, &b
	if out, err := read.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, want := range map[string]string{"deep/down/file": "content", "deep/copy": "copied"} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	if to, err := os.Readlink(filepath.Join(root, "link")); err != nil || to != "/deep/copy" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if info, err := os.Stat(filepath.Join(root, "deep/copy")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the copy is %v, %v", info, err)
	}
}

func TestCpioMissesNothing(t *testing.T) {
	c := newCpio(&bytes.Buffer{})
	c.copy("/file", filepath.Join(t.TempDir(), "missing"))
	if err := c.close(); err == nil {
		t.Error("a file that is not there was no error")
	}
}
