package hosts

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Import makes an image on the host's engine that holds static programs alone, each at the root
// under its own name.
func (h *Host) Import(image string, programs ...string) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, path := range programs {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.Base(path), Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	cmd := h.Docker("import", "-", image)
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import image %s: %w: %s", image, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// ImportTar makes an image of a tar file of a root.
func (h *Host) ImportTar(image, file string) error {
	return finish(h.Docker("import", file, image))
}
