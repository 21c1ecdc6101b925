package mounts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzVolume: what a crashed agent left is of the volume that its name says, or an error.
func FuzzVolume(f *testing.F) {
	good, _ := json.Marshal(Volume{Source: data, Era: "1", Uses: map[string]Use{"mount": {Container: "web", Again: 1}}})
	f.Add("id-1.json", good)
	f.Add("id-1.json", []byte(`{"volume":{"id":"../../x"},"era":"0"}`))
	f.Add("id-1.json", []byte(`{"volume":{"id":"id-1"},"uses":{"m":{"again":-1}}}`))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		name = filepath.Base(name)
		v, err := parse(name, text)
		if err != nil {
			return
		}
		r := &Registry{dir: "/uses"}
		if got := r.file(v.Source.ID); got != filepath.Join("/uses", name) {
			t.Errorf("the volume %q is kept as %s", name, got)
		}
		for _, use := range v.Uses {
			if use.Again < 0 {
				t.Error("a use ended more often than it began")
			}
		}
	})
}

// TestAFileOfAnotherVolumeRemovesNothing: by the id in it, the file of somebody else would go.
func TestAFileOfAnotherVolumeRemovesNothing(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "x.json")
	for name, text := range map[string]string{other: "{}", filepath.Join(dir, "uses", "id-1.json"): `{"volume":{"id":"../x"},"era":"0"}`} {
		ok(t, os.MkdirAll(filepath.Dir(name), 0o700))
		ok(t, os.WriteFile(name, []byte(text), 0o600))
	}
	r, err := Open(filepath.Join(dir, "uses"), "1")
	if err == nil || r == nil {
		t.Errorf("got %v, want an error beside the registry", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file outside is gone: %v", err)
	}
}
