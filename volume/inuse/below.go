package inuse

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover/drover/cluster"
)

// NothingMounted returns cluster.ErrUnsupported, with the path, if this process sees something mounted
// below a directory: a snapshot of the file system there would leave it behind.
func NothingMounted(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, m := range parseMounts(string(table), "/") {
		if path, is := strings.CutPrefix(m.at, real+"/"); is {
			return cluster.WithHint(fmt.Errorf("%w: a file system is mounted at %q in the volume, which would be left behind", cluster.ErrUnsupported, path),
				fmt.Sprintf("unmount it: umount %q", m.at))
		}
	}
	return nil
}
