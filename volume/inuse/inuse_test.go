package inuse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlace(t *testing.T) {
	device, inside, ok := place("/proc/self")
	if !ok || device == "" || inside != "/self" {
		t.Errorf("/proc/self is %q in %q, %t", inside, device, ok)
	}
	if got := unescape(`/a\040b\134c`); got != `/a b\c` {
		t.Errorf("unescaped to %q", got)
	}
}

func TestByAWriter(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	if user := By(dir); !strings.Contains(user, f.Name()) {
		t.Errorf("a file that is open for writing: used by %q", user)
	}
	f.Close()
	if user := By(dir); user != "" {
		t.Errorf("nothing is open: used by %q", user)
	}
}
