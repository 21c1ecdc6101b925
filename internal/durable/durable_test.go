package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/test/harness/powercut"
)

func TestWriteFileReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"first and long", "second"} {
		if err := durable.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("temporary files stay: %v", entries)
	}
}

func TestWriteFileThatFailsLeavesTheOldContent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.Mkdir(path, 0o700); err != nil { // a file cannot replace a directory
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("new"), 0o600); err == nil {
		t.Fatal("it was written")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("temporary files stay: %v", entries)
	}
}

func TestCreateFileNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := durable.CreateFile(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.CreateFile(path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "first" {
		t.Errorf("it holds %q, %v", b, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("temporary files stay: %v", entries)
	}
}

// TestADamagedRecordIsSaid: one that is empty or cut short is never taken for none.
func TestADamagedRecordIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy.json")
	var record struct{ Role string }
	if err := durable.ReadJSON(path, &record); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, durable.ErrDamaged) {
		t.Errorf("none: got %v, want ErrNotExist", err)
	}
	for content, want := range map[string]string{
		"":                       "copy.json is empty",
		"\x00\x00\x00\x00":       "copy.json is empty",
		`{"role": "pri`:          "copy.json is cut short",
		`{"role": 5}`:            "copy.json is not readable",
		`{"role": "x"}{"role":1`: "copy.json is not readable",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := durable.ReadJSON(path, &record); !errors.Is(err, durable.ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", content, err, want)
		}
	}
	if err := os.WriteFile(path, []byte("{\"role\": \"replica\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.ReadJSON(path, &record); err != nil || record.Role != "replica" {
		t.Errorf("got %+v, %v", record, err)
	}
}

// TestPowerCut: what was said to be written, made, moved or taken away is so after a cut right then.
// Each is the last that is done: the next one's sync would hide that it lacks its own.
func TestPowerCut(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(dir string) error
		want map[string]string // after the cut; "" is: it is not there
	}{
		"a new file": {func(dir string) error { return durable.WriteFile(dir+"/record", []byte("new"), 0o600) },
			map[string]string{"record": "new"}},
		"a file that is replaced": {func(dir string) error { return durable.WriteFile(dir+"/old", []byte("new"), 0o600) },
			map[string]string{"old": "new"}},
		"a file that is replaced lazily": {func(dir string) error {
			return errors.Join(durable.ReplaceFile(dir+"/old", []byte("new"), 0o600), durable.WriteFile(dir+"/other", []byte("other"), 0o600))
		}, map[string]string{"old": "new", "other": "other"}},
		"a file of which there must be one": {func(dir string) error { return durable.CreateFile(dir+"/key", []byte("new"), 0o600) },
			map[string]string{"key": "new"}},
		"a file that moves": {func(dir string) error { return durable.Rename(dir+"/old", dir+"/sub/moved") },
			map[string]string{"old": "", "sub/moved": "old"}},
		"a file that is removed": {func(dir string) error { return durable.Remove(dir + "/old") },
			map[string]string{"old": ""}},
		"directories": {func(dir string) error { return durable.MkdirAll(dir+"/a/b/c", 0o700) },
			map[string]string{"a/b/c": "directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			powercut.Each(t, func(t *testing.T, kind string) {
				d := powercut.New(t, kind, 512<<20)
				must(t, os.Mkdir(d.Path()+"/sub", 0o700))
				must(t, os.WriteFile(d.Path()+"/old", []byte("old"), 0o600))
				must(t, d.Sync())
				must(t, test.do(d.Path()))
				d.Cut()
				for file, want := range test.want {
					if got := content(filepath.Join(d.Path(), file)); got != want {
						t.Errorf("%s is %q, want %q", file, got, want)
					}
				}
			})
		})
	}
}

// TestPowerCutLazily: the old content or the new, and never none.
func TestPowerCutLazily(t *testing.T) {
	powercut.Each(t, func(t *testing.T, kind string) {
		powercut.Run(t, kind, func(dir string) {
			must(t, durable.WriteFile(dir+"/record", []byte("old"), 0o600))
			must(t, durable.ReplaceFile(dir+"/record", []byte("new"), 0o600))
		}, func(dir string) {
			if got := content(dir + "/record"); got != "old" && got != "new" {
				t.Errorf("it is %q", got)
			}
		})
	})
}

func content(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err == nil && info.IsDir():
		return "directory"
	}
	if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
		return string(b)
	}
	return "a file of no bytes"
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
