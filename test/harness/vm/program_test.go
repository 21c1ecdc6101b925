package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestScript: whatever is in the arguments and the environment arrives.
func TestScript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := Program{Args: []string{"-c", `pwd; echo "$0|$1|$X"`, "a b", `'"$HOME`}, Env: []string{`X=1 '2' "3"`}}
	cmd := exec.Command("sh")
	cmd.Stdin = bytes.NewReader(p.script(dir, "/bin/sh"))
	out, err := cmd.CombinedOutput()
	if want := dir + "\na b|'\"$HOME|1 '2' \"3\"\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}

// TestAddFiles: a package's files and its testdata go along, nothing else does.
func TestAddFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.go", "testdata/deep/x", "sub/b.go"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	c := newCpio(&b)
	if err := addFiles(c, dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a.go": true, "testdata/deep/x": true, "sub/b.go": false} {
		if got := strings.Contains(b.String(), "content of "+name); got != want {
			t.Errorf("%s goes along: %t, want %t", name, got, want)
		}
	}
}
