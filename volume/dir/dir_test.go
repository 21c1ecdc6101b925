package dir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/backendtest"
)

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Harness {
		root := t.TempDir()
		b := open(t, root)
		data := func(id cluster.VolumeID) string { return filepath.Join(root, string(id), "data") }
		return backendtest.Harness{
			Backend: b,
			Write: func(id cluster.VolumeID, name, content string) error {
				return os.WriteFile(filepath.Join(data(id), name), []byte(content), 0o644)
			},
			Read: func(id cluster.VolumeID) (map[string]string, error) { return readFiles(data(id)) },
			Reopen: func() volume.Backend {
				b.Shut()
				b = open(t, root)
				return b
			},
		}
	})
}

func open(t *testing.T, root string) *Backend {
	t.Helper()
	b, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Shut() })
	return b
}

func readFiles(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	files := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		files[entry.Name()] = string(content)
	}
	return files, err
}
